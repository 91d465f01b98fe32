"""`tfrecord:GLOB`: examples in TFRecord files; and the files that `tfl convert` writes."""
