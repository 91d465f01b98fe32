"""Search for the options with the smallest held-out loss.

    python scripts/search.py --config=configs/folder.py --config.data.source=folder:PATH --epochs=0 \
        --range=head.pooling=avg,max --output=FOLDER

It writes best.py, which --config= takes. If it is stopped, the same command goes on.
"""

from tfl.commands import search

if __name__ == "__main__":
    search.run()
