"""One training step: the gradients, the update of the weights, and the average of the weights."""
