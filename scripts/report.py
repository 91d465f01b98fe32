"""Write report.html and MODEL_CARD.md of a finished run again.

python scripts/report.py --workdir=runs/photos
python scripts/report.py --workdir=runs/photos --gallery=24
"""

from tfl.commands import report

if __name__ == "__main__":
    report.run()
