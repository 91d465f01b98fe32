"""Start a group of workers on this machine; after a failure all workers start again from their last checkpoint.

python scripts/launch_local.py --workers=2 -- scripts/train.py --config=configs/folder.py --workdir=runs/photos
"""

from tfl.commands import launch

if __name__ == "__main__":
    launch.run()
