"""Evaluate a finished run on its own test split or on other data, and print the metrics as JSON.

python scripts/evaluate.py --workdir=runs/photos
python scripts/evaluate.py --workdir=runs/photos --source=folder:other_photos --output=evaluation.json
python scripts/evaluate.py --workdir=runs/photos --source=folder:other_photos --predictions=photos.csv
python scripts/evaluate.py --workdir=runs/photos --slices=cameras.csv:camera
"""

from tfl.commands import evaluate

if __name__ == "__main__":
    evaluate.run()
