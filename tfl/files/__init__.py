"""How files are written, locked, read again and checked."""
