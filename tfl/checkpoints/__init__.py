"""The state of a training on disk: written aside, checked when it is read."""
