"""The loop over epochs: `fit`, its callbacks, and how training stops and continues."""
