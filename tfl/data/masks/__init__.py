"""Images with masks: find the pairs of files, read masks of any kind, and give every class its number."""
