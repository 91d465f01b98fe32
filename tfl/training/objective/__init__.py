"""What training minimises and measures: losses, metrics, optimizers, schedules."""
