"""Work with finished runs: evaluate, predict, compare, export."""

TOP = 5  # classes in an answer, the most probable ones, if the user does not say how many
