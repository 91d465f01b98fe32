"""Write a picture of training images exactly as the network gets them, before and after augmentation.

python scripts/preview_data.py --config=configs/folder.py --config.data.source=folder:PATH --output=grid.png
"""

from tfl.commands import preview

if __name__ == "__main__":
    preview.run()
