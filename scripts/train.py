"""Train: from a config to a trained, evaluated, saved classifier.

python scripts/train.py --config=configs/folder.py --config.data.source=folder:photos --workdir=runs/photos
"""

from absl import flags

from tfl import cli
from tfl.commands import recipes, train

flags.mark_flags_as_required(["config", "workdir"])

if __name__ == "__main__":
    cli.run(train.main, check=train.check, translate=recipes.with_named_recipe)
