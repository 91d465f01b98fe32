"""One training step: gradients, their averages, and how they change the weights."""
