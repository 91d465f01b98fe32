"""Add examples to a finished run and remove others, and solve its head again.

    python scripts/update.py runs/photos --add=new_photos --remove=wrong.txt --output=runs/updated

The run must have been trained with --config.probe.solver=ridge.
"""

from tfl.commands import update

if __name__ == "__main__":
    update.run()
