"""Rank pretrained networks for a data set, without training any of them.

    python scripts/rank_backbones.py --config=configs/folder.py --config.data.source=folder:PATH \
        --backbones=MobileNetV2,MobileNet:0.25 --output=FOLDER

It prints a table, best first, and writes ranking.csv and ranking.json.
"""

from tfl.commands import rank

if __name__ == "__main__":
    rank.run()
