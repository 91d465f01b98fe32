"""The state of a training on disk: written atomically, and checked when it is read."""
