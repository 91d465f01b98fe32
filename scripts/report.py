"""Write report.html and MODEL_CARD.md of a finished run again.

python scripts/report.py --workdir=runs/photos
python scripts/report.py --workdir=runs/photos --gallery=24
"""

from absl import flags

from tfl import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.", required=True)
_GALLERY = flags.DEFINE_integer(
    "gallery", None, "Images of each kind; 0: none; not given: as in the config of the run.", lower_bound=0
)


def main(argv: list[str]) -> None:
    del argv
    from tfl.progress import say
    from tfl.report import remake_report

    remake_report(_WORKDIR.value, _GALLERY.value)
    say(f"written: {_WORKDIR.value}/report.html and MODEL_CARD.md")


if __name__ == "__main__":
    cli.run(main)
