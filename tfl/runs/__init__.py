"""Work with finished runs: evaluate, predict, compare, export."""
