"""The kinds of input examples: one folder or file for each kind."""
