"""List the pretrained networks: name, image size, smallest image size, features, width multipliers with weights.

python scripts/list_backbones.py
python scripts/list_backbones.py 'resnet*'
"""

from tfl.commands import backbones

if __name__ == "__main__":
    backbones.run()
