"""The command of a config, as a shell and `tfl train` read it, has that config again."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
from test_random_options import FIXED, VALUES

import tfl
from tfl.config import absolute_paths, flatten, value_of
from tfl.errors import InputError
from tfl.recipes import load_recipe
from tfl.train_command import train_command

READ = """
import json, sys
from absl import flags
import tfl.commands.train as train
from tfl import cli
from tfl.commands import recipes
from tfl.config import absolute_paths

found = []
for words in json.load(sys.stdin):
    for name in [name for name in flags.FLAGS if name.startswith("config.")]:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()
    sys.argv = words
    config, workdir = train._asked(cli._parse_flags(words, recipes.with_recipe))
    found.append([absolute_paths(config.validate()).to_dict(), workdir])
print(json.dumps(found))
"""  # in a process of its own, because a process can define the flags of one command only


def read(commands):
    """Return the config and the workdir of each command, which is one line of a shell."""
    words = [["tfl train", *shlex.split(line)[2:]] for line in commands]
    done = subprocess.run([sys.executable, "-c", READ], input=json.dumps(words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [(tfl.TransferConfig.from_dict(config), workdir) for config, workdir in json.loads(done.stdout)]


def changed(config, options):
    for path, value in options.items():
        section, _, name = path.rpartition(".")
        setattr(value_of(config, section) if section else config, name, value)
    return config


def random_configs(source, count):
    """Yield valid configs that differ from a recipe in up to eight options."""
    rng = np.random.default_rng(0)
    values = {**VALUES, "deterministic": (True,), "data.image_size": (32,), "features.store": (f"{source}/my, store",)}
    values |= {"data.source": ("digits:0-4", f"folder:{source}"), "pretrain.source": (f"folder:{source}", "digits")}
    assert set(values) | FIXED == set(values) | {"data.max_bad_fraction", "strategy"}
    while count:
        paths = rng.choice(list(values), rng.integers(9), replace=False)
        options = {path: values[path][rng.integers(len(values[path]))] for path in paths}
        config = changed((tfl.TransferConfig, load_recipe)[count % 2](), {"data.source": "digits", **options})
        try:
            yield absolute_paths(config.validate())
        except InputError:
            continue
        count -= 1


def test_random_configs_come_back_from_their_commands(tmp_path):
    source = tmp_path / "my photos, 'ants' & $bees"
    source.mkdir()
    configs = list(random_configs(source, 90))
    lines = [shlex.join(train_command(config, f"{tmp_path}/run {k}")) for k, config in enumerate(configs)]
    found = read(lines)
    assert len({json.dumps(config.to_dict()) for config in configs}) > 50
    for k, (config, workdir) in enumerate(found):
        assert config == configs[k], lines[k]
        assert workdir == f"{tmp_path}/run {k}"


def test_a_command_is_short(tmp_path):
    config = absolute_paths(load_recipe("folder", tmp_path))
    assert train_command(config, "w") == ["tfl", "train", str(tmp_path), "--workdir=w"]
    config = changed(config, {"finetune.epochs": 3, "backbone.alpha": 0.35, "head.hidden_units": (8, 4)})
    flags = ["--config.backbone.alpha=0.35", "--config.head.hidden_units=8,4", "--epochs=3"]
    assert train_command(config, "w") == ["tfl", "train", str(tmp_path), "--workdir=w", *flags]


@pytest.mark.parametrize("name", ["flowers", "hymenoptera", "quickstart"])
def test_a_run_of_a_recipe_is_repeated_by_its_name(name):
    config = absolute_paths(load_recipe(name).validate())
    words = train_command(config, "w")
    assert f"--recipe={name}" in words and words[-1] == "--workdir=w"
    kind, _, path = config.data.source.partition(":")
    assert words[2:-2] == ([path] if kind == "folder" else [])  # a path of the recipe depends on the folder of the user


def test_an_empty_value_is_read_as_empty(tmp_path):
    quickstart = load_recipe("quickstart")
    config = absolute_paths(changed(quickstart, {"pretrain.source": "", "scratch.epochs": 0}).validate())
    line = shlex.join(train_command(config, "w"))
    assert "--recipe=quickstart" in line and "--config.pretrain.source=" in line
    assert flatten(read([line])[0][0].to_dict()) == flatten(config.to_dict())
