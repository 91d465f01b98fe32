"""Metrics of boxes by the rules of COCO: match predicted with true boxes, average precision, kinds of errors."""
