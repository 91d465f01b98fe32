"""Compare finished runs on the same test images: which is better, by how much, and is the difference more than chance?

python scripts/compare_runs.py runs/frozen runs/finetuned
python scripts/compare_runs.py frozen.csv finetuned.csv    # files from scripts/evaluate.py --predictions
python scripts/compare_runs.py --output=comparison.csv runs/frozen runs/finetuned runs/large
"""

from tfl.commands import compare

if __name__ == "__main__":
    compare.run()
