"""Measure what pre-training was worth for a data set: accuracy over labels, with and without it.

    python scripts/measure_value.py --config=configs/folder.py --config.data.source=folder:PATH --output=FOLDER

It writes value.html, value.csv and value.json. If it is stopped, the same command goes on.
"""

from tfl.commands import value

if __name__ == "__main__":
    value.run()
