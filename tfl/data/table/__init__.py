"""Tables of files with labels: CSV, JSON lines, Parquet and pandas; several labels or values for each file."""
