"""Losses, metrics, optimizers and schedules of training."""
