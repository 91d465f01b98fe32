"""Sound as examples: files are read and resampled once, and a model takes the waveform."""
