"""Write the features that a frozen backbone computes for every image of a source.

    python scripts/extract_features.py --config=configs/folder.py --config.data.source=folder:PATH --output=FOLDER

Each row has id, label, split and features. `--format=npy` writes a folder; other formats write one file.
"""

from tfl.commands import features

if __name__ == "__main__":
    features.run()
