"""What is done with finished runs: evaluate, predict, compare, export."""
