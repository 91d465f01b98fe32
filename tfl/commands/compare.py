"""Compare finished runs on the same test images: which is better, by how much, and is the difference more than chance?

tfl compare runs/frozen runs/finetuned
tfl compare frozen.csv finetuned.csv    # files from tfl evaluate --predictions
tfl compare --output=comparison.csv runs/frozen runs/finetuned runs/large
"""

from absl import flags

from tfl import cli
from tfl.runs.checks import check_compared, check_output

_OUTPUT = flags.DEFINE_string("output", "", "A .csv or .json file for the table; empty: no file.")


def check(argv: list[str]) -> None:
    """Refuse what is neither a finished run nor a table of predictions, before TensorFlow is imported."""
    check_compared(argv[1:])
    check_output(_OUTPUT.value)


def main(argv: list[str]) -> None:
    """Compare the runs."""
    from tfl.runs.compare import compare_runs

    compare_runs(argv[1:], _OUTPUT.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, takes_files=True)
