"""What an example is: one folder or file for each kind."""
