"""What `tfl.transfer` does, read from top to bottom in `transfer`."""
