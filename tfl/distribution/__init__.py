"""Several devices and processes: strategies, replicas, workers, and the launcher that starts them."""
