"""The steps of `tfl.transfer`; the function `transfer` shows them from top to bottom."""
