"""Images with boxes around objects: read annotations of several formats, and give every class its number."""
