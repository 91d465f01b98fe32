"""Pre-train a backbone on your own images, with or without labels.

    python scripts/pretrain.py --config=configs/pretrain_selfsupervised.py --config.data.source=folder:PATH --workdir=W

The workdir then serves as --config.backbone.weights of other runs with the same network.
"""

from tfl.commands import pretrain

if __name__ == "__main__":
    pretrain.run()
