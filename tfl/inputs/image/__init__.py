"""Images: recognise formats, decode, check and augment."""
