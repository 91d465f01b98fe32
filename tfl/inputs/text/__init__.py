"""Texts as examples: divided into word pieces by operations of TensorFlow."""
