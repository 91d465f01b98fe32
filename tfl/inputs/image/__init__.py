"""Images: formats, decoding, checking, augmenting."""
