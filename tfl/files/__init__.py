"""Write, lock, read and check files."""
