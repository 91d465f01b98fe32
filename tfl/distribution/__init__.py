"""Training on several devices and processes: strategies, replicas, workers, and the launcher that starts them."""
