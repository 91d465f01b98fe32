"""Scripts that let a shell complete the command `tfl`: its subcommands, their flags, and the values of the flags."""
