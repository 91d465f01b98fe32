"""Compare finished runs on the same test images: which is better, by how much, and is the difference more than chance?

python scripts/compare_runs.py runs/frozen runs/finetuned
python scripts/compare_runs.py frozen.csv finetuned.csv    # files from scripts/evaluate.py --predictions
python scripts/compare_runs.py --output=comparison.csv runs/frozen runs/finetuned runs/large
"""

from absl import flags

from tfl import cli

_OUTPUT = flags.DEFINE_string("output", "", "A .csv or .json file for the table; empty: no file.")


def main(argv: list[str]) -> None:
    from tfl.runs.compare import compare_runs

    compare_runs(argv[1:], _OUTPUT.value)


if __name__ == "__main__":
    cli.run(main, takes_files=True)
