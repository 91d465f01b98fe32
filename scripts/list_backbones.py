"""List the pretrained networks: sizes, megabytes, whose weights, their task and licence, and whether they are at hand.

python scripts/list_backbones.py
python scripts/list_backbones.py 'resnet*'
python scripts/list_backbones.py torch:model.safetensors hf:models/minilm
"""

from tfl.commands import backbones

if __name__ == "__main__":
    backbones.run()
