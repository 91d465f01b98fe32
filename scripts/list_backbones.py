"""List the pretrained networks: name, pixels per side, smallest size, features.

python scripts/list_backbones.py
python scripts/list_backbones.py 'resnet*'
"""

from tfl import cli


def main(argv: list[str]) -> None:
    import tfl

    names = [name for pattern in argv[1:] or ["*"] for name in tfl.list_backbones(pattern)]
    print(f"{'name':<20} {'image_size':>10} {'minimum':>8} {'features':>9}")
    for spec in map(tfl.get_backbone_spec, names):
        print(f"{spec.name:<20} {spec.image_size:>10} {spec.minimum_size:>8} {spec.num_features:>9}")


if __name__ == "__main__":
    cli.run(main, takes_files=True)
