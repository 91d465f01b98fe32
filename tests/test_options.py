"""No option is without an effect: each is set once in a run, and the run shows it."""

from pathlib import Path

import numpy as np
import pytest
import warm
from masks import write_masks
from option_runs import Shown, make_config, tiny_networks, watch, write_photos
from PIL import Image
from safetensors.numpy import save_file
from tiny_tfds import write_tfds
from torch_state import make_state

import tfl
from tfl import tracking
from tfl.config import flatten
from tfl.recipe.unused import unused_options
from tfl.tracking import TrackedRun, Tracker

ROOT = Path(__file__).resolve().parent.parent

TUNED = {"finetune.epochs": 2, "probe.solver": "none", "finetune.learning_rate": 1e-3}  # always kept
TORCH = {"backbone.name": "torch:TORCH", "backbone.weights": "imagenet"}
SGD = TUNED | {"finetune.optimizer": "sgd", "finetune.unfreeze": "all"}
STAGED = TUNED | {"finetune.unfreeze": "2"}
PRETRAINED = {"pretrain.source": "folder:OTHER", "pretrain.epochs": 1}
SAVED = TUNED | {"checkpoint.every_steps": 1, "finetune.epochs": 6}

# option: (options of the run without it, its value, where the run shows it)
EFFECTS = {
    "seed": ({}, 1, "weights"),
    "precision": (TUNED, "mixed_bfloat16", "weights"),
    "tracking": ({}, "noted", "files"),
    "budget_minutes": (TUNED | {"finetune.epochs": 30}, 1e-6, "weights"),
    "data.source": ({}, "folder:OTHER", "weights"),
    "data.columns": ({"data.source": "csv:TABLE"}, "label=other", "weights"),
    "data.tfds_splits": ({"data.source": "tfds:tiny", "data.tfds_dir": "TFDS"}, "train[:80%]", "weights"),
    "data.tfds_dir": ({"data.source": "tfds:tiny", "data.tfds_dir": "TFDS"}, "OTHER_TFDS", "weights"),
    "data.decisions": ({}, "DECISIONS", "weights"),
    "data.label_pattern": ({}, r"(?P<label>[0-4])\.png", "weights"),
    "data.group_pattern": ({}, r"([0-4])\.png", "weights"),
    "data.groups": ({}, "GROUPS", "weights"),
    "data.image_size": ({}, 48, "weights"),
    "data.batch_size": (TUNED, 8, "weights"),
    "data.split": ({}, (0.5, 0.25, 0.25), "weights"),
    "data.split_by": ({"data.split": (0.4, 0.3, 0.3)}, "content", "weights"),
    "data.train_examples_per_class": ({}, 3, "weights"),
    "data.max_bad_fraction": ({"data.source": "folder:BAD"}, 0.0, "refused"),
    "data.augmentation": (TUNED, "rand", "weights"),
    "data.channels": ({"data.source": "folder:FOUR"}, 4, "refused"),
    "data.bit_depth": ({"data.source": "folder:DEEP"}, 12, "weights"),
    "data.window": ({"data.source": "folder:DEEP"}, (0.0, 2000.0), "weights"),
    "data.scaled_decoding": ({"data.source": "folder:LARGE"}, True, "weights"),
    "backbone.name": ({}, "VGG16", "weights"),
    "backbone.alpha": ({}, 0.5, "weights"),
    "backbone.weights": ({}, "RUN", "weights"),
    "backbone.torch_name": (TORCH, "efficientnet_lite0", "weights"),
    "backbone.sha256": ({}, "0" * 64, "refused"),
    "pretrain.source": ({"pretrain.epochs": 1}, "folder:OTHER", "weights"),
    "pretrain.method": (PRETRAINED, "barlow_twins", "weights"),
    "pretrain.epochs": (PRETRAINED, 2, "files"),
    "pretrain.learning_rate": (PRETRAINED, 1e-4, "weights"),
    "pretrain.augmentation": (PRETRAINED, "none", "weights"),
    "scratch.epochs": ({}, 1, "files"),
    "scratch.learning_rate": ({"scratch.epochs": 1}, 0.1, "files"),
    "head.pooling": ({}, "max", "weights"),
    "head.hidden_units": ({}, (4,), "weights"),
    "head.dropout": (TUNED, 0.5, "weights"),
    "task.name": ({"data.source": "folder:TWO"}, "binary", "weights"),
    "segmentation.ignore_label": (
        {"data.source": "masks:MASKS", "task.name": "segmentation", "segmentation.ignore_label": 11},
        2,
        "weights",
    ),
    "features.runtime": ({"features.runtime": "tensorflow"}, "openvino", "weights"),
    "features.store": ({}, "none", "store_bytes"),
    "features.dtype": ({}, "float16", "store_bytes"),
    "features.views": ({}, 2, "weights"),
    "features.max_bytes": ({}, 100, "store_bytes"),
    "probe.solver": ({"finetune.epochs": 1}, "none", "weights"),
    "probe.l2": ({}, 1.0, "weights"),
    "probe.folds": ({}, 3, "weights"),
    "probe.rule": ({"probe.folds": 3}, "one_standard_error", "weights"),
    "finetune.epochs": (TUNED, 3, "weights"),
    "finetune.unfreeze": (TUNED, "all", "weights"),
    "finetune.batch_norm": (SGD, "train", "weights"),
    "finetune.optimizer": (TUNED, "sgd", "weights"),
    "finetune.learning_rate": (TUNED, 1e-2, "weights"),
    "finetune.momentum": (SGD, 0.5, "weights"),
    "finetune.nesterov": (SGD, True, "weights"),
    "finetune.schedule": (TUNED, "constant", "weights"),
    "finetune.warmup_fraction": (TUNED, 0.9, "weights"),
    "finetune.layer_decay": (STAGED, 0.5, "weights"),
    "finetune.l2": (TUNED, 1.0, "weights"),
    "finetune.l2_sp": (TUNED, 1.0, "weights"),
    "finetune.weight_decay": (TUNED, 1.0, "weights"),
    "finetune.clip_norm": (SGD, 1e-3, "weights"),
    "finetune.label_smoothing": (TUNED, 0.2, "weights"),
    "finetune.loss": (TUNED, "focal", "weights"),
    "finetune.focal_gamma": (TUNED | {"finetune.loss": "focal"}, 0.5, "weights"),
    "finetune.gce_q": (TUNED | {"finetune.loss": "generalized_cross_entropy"}, 0.3, "weights"),
    "finetune.class_weight": ({}, "balanced", "weights"),
    "finetune.class_weight_beta": ({"finetune.class_weight": "effective"}, 0.9, "weights"),
    "finetune.sampling": (TUNED, "balanced", "weights"),
    "finetune.logit_adjustment": ({}, 1.0, "weights"),
    "finetune.mixup": (TUNED, 0.4, "weights"),
    "finetune.cutmix": (TUNED, 1.0, "weights"),
    "finetune.ema": (TUNED, 0.9, "weights"),
    "finetune.early_stopping": (SGD | {"finetune.learning_rate": 3.0, "finetune.epochs": 6}, 1, "files"),
    "finetune.accumulate": (TUNED, 2, "weights"),
    "finetune.max_skipped_steps": (SGD | {"finetune.learning_rate": 1e30, "data.batch_size": 4}, 1, "refused"),
    "checkpoint.every_seconds": (TUNED, 0.001, "files"),
    "checkpoint.every_steps": (TUNED, 1, "files"),
    "checkpoint.keep": (SAVED, 4, "files"),
    "report.gallery": ({}, 2, "files"),
    "report.audit": ({}, False, "files"),
}
PROCESS_WIDE = {  # what changes a whole process, or the code that runs: what is printed with the option
    "strategy": ("cpu:2", "replicas 2"),
    "deterministic": (True, "deterministic True"),
    "finetune.jit_compile": (True, "compiled True"),
}
PROGRAM = """
import sys
sys.path.insert(0, "tests")
import tensorflow as tf
import tfl
from tensorflow.python.framework import config
from option_runs import make_config, tiny_networks
from pathlib import Path

photos, folder, compiled, stock = Path(sys.argv[1]), Path(sys.argv[2]), set(), tf.function

def function(*args, **options):  # Keras compiles functions of its own
    if options.get("jit_compile"):
        compiled.add(sys._getframe(1).f_globals["__name__"].partition(".")[0])
    return stock(*args, **options)

tf.function = function
options = {"finetune.epochs": 1, "probe.solver": "none"} | eval(sys.argv[3])
with tiny_networks():
    tfl.transfer(make_config(photos, folder / "store", options), folder / "run")
print("replicas", len(tf.config.list_logical_devices("CPU")))
print("deterministic", config.is_op_determinism_enabled())
print("compiled", "tfl" in compiled)
"""


class Noted(TrackedRun):
    """A run that only its record in the workdir shows."""

    def log_epoch(self, epoch, values):
        del epoch, values

    def finish(self, model):
        del model


class Noting(Tracker):
    """A tracker that needs no package."""

    name = "noted"

    def begin(self, folder, record, parent):
        del folder, record, parent
        return Noted()


@pytest.fixture(scope="module", autouse=True)
def noting():
    """Register a tracker for the tests here only."""
    tracking.register_tracker(Noting())
    yield
    del tracking._TRACKERS["noted"]
    tracking.TRACKERS.remove("noted")


def test_every_option_is_shown_somewhere():
    assert set(EFFECTS) | set(PROCESS_WIDE) == set(flatten(tfl.TransferConfig().to_dict()))


def test_what_an_inner_run_takes_over_is_not_called_unused():
    config = make_config("photos", "store", {"finetune.ema": 0.9, "finetune.momentum": 0.5})
    assert set(unused_options(config)) == {"finetune.ema", "finetune.momentum"}
    config.scratch.epochs = 1
    assert set(unused_options(config)) == {"finetune.momentum"}


def test_what_a_recipe_sets_is_not_called_unused_but_what_the_user_sets_is():
    options = {"finetune.epochs": 0, "data.image_size": 64}
    assert unused_options(tfl.load_recipe("folder", "digits", options)) == {}
    set_by_user = options | {"finetune.learning_rate": 0.5, "finetune.mixup": 0.3}
    assert set(unused_options(tfl.load_recipe("folder", "digits", set_by_user))) == {
        "finetune.learning_rate",
        "finetune.mixup",
    }


def write_large(folder):
    """JPEG photos of four times the network's size, which are decoded at a half of their size."""
    for photo in write_photos(folder, (12, 12), seed=2).glob("*/*.png"):
        with Image.open(photo) as image:
            image.resize((128, 128)).save(photo.with_suffix(".jpg"), quality=95)
        photo.unlink()
    return folder


def write_channels(folder):
    """Arrays of four channels, which are no photos."""
    rng = np.random.default_rng(0)
    for label in (0, 1):
        (folder / f"class_{label}").mkdir(parents=True)
        for number in range(12):
            values = rng.integers(0, 100 + 100 * label, (32, 32, 4), np.uint8)
            np.save(folder / f"class_{label}" / f"{number}.npy", values)
    return folder


def write_torch(file):
    """Write the weights of a small EfficientNet."""
    shapes = {"conv_stem.weight": (8, 3, 3, 3), "conv_head.weight": (16, 8, 1, 1)}
    for block, names in (("blocks.0.0", ("conv_dw", "conv_pw")), ("blocks.1.0", ("conv_pw", "conv_dw", "conv_pwl"))):
        for place, name in enumerate(names, start=1):
            shapes[f"{block}.{name}.weight"] = (8, 1, 3, 3) if name == "conv_dw" else (8, 8, 1, 1)
            shapes |= norm(f"{block}.bn{place}", 8)
    save_file(make_state({**shapes, **norm("bn1", 8), **norm("bn2", 16)}, {}), file)
    return file


def norm(name, channels):
    return {f"{name}.{role}": (channels,) for role in ("weight", "bias", "running_mean", "running_var")}


def write_table(photos, table):
    """A table of photos with their folder as "label", and whether their number is odd as "other"."""
    files = sorted(photos.glob("*/*"))
    rows = [f"{file},{file.parent.name},{'odd' if int(file.stem) % 2 else 'even'}" for file in files]
    table.write_text("\n".join(["path,label,other", *rows]))
    return table


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Names that the options above use, and what they stand for."""
    folder = tmp_path_factory.mktemp("options")
    write_photos(folder / "bad", (12, 12, 12))
    (folder / "bad" / "class_0" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    made = {
        "PHOTOS": write_photos(folder / "photos", (14, 14, 8)),
        "OTHER": write_photos(folder / "other", (10, 10), seed=1),
        "TWO": write_photos(folder / "two", (12, 12), seed=2),
        "DEEP": write_photos(folder / "deep", (12, 12), seed=2, deep=True),
        "FOUR": write_channels(folder / "four"),
        "LARGE": write_large(folder / "large"),
        "BAD": folder / "bad",
        "MASKS": write_masks(folder / "masks", {"train": 8, "val": 3, "test": 3}),
        "TABLE": write_table(folder / "two", folder / "table.csv"),
        "TFDS": write_tfds(folder / "tfds", seed=3),
        "OTHER_TFDS": write_tfds(folder / "other_tfds", seed=4),
        "TORCH": write_torch(folder / "tf_efficientnet_lite0.safetensors"),
        "RUN": folder / "run",
        "DECISIONS": folder / "decisions.csv",
        "GROUPS": folder / "groups.csv",
    }
    made["GROUPS"].write_text("id,group\n" + "".join(f"class_0/{number}.png,a\n" for number in range(7)))
    made["DECISIONS"].write_text("id,decision,label\nclass_0/1.png,relabel,class_1\nclass_1/1.png,exclude,\n")
    with tiny_networks():
        tfl.transfer(make_config(made["OTHER"], folder / "store", {"seed": 3}), made["RUN"])
        yield made


@pytest.fixture(scope="module")
def runs() -> dict[str, Shown]:
    """The runs without the option, by their options: several tests compare with the same one."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("option", EFFECTS)
def test_the_option_has_an_effect(option, sources, runs, tmp_path, capsys):
    context, value, place = EFFECTS[option]
    if repr(context) not in runs:
        runs[repr(context)] = _run(context, sources, tmp_path / "without", capsys)
    shown = _run(context | {option: value}, sources, tmp_path / "with", capsys)
    assert place in runs[repr(context)].differs_from(shown), option


def test_the_same_options_show_the_same(sources, runs, tmp_path, capsys):
    first, second = (_run(TUNED, sources, tmp_path / name, capsys) for name in "ab")
    assert first == second
    runs[repr(TUNED)] = first


@pytest.mark.slow
@pytest.mark.parametrize("option", PROCESS_WIDE)
def test_the_option_has_an_effect_on_the_process(option, sources, tmp_path):
    value, expected = PROCESS_WIDE[option]
    result = warm.run(["-c", PROGRAM, sources["TWO"], tmp_path, repr({option: value})], cwd=ROOT)
    assert result.returncode == 0, result.stderr
    printed = result.stdout.splitlines()
    assert [line for line in printed if line in {shown for _, shown in PROCESS_WIDE.values()}] == [expected]


def _run(options, sources, workdir, capsys) -> Shown:
    named = {path: _place(value, sources) for path, value in options.items()}
    return watch(make_config(sources["PHOTOS"], workdir.with_suffix(".store"), named), workdir, capsys)


def _place(value, sources):
    for name, path in sources.items():
        if value in (name, f"folder:{name}", f"csv:{name}", f"masks:{name}", f"torch:{name}"):
            return value.replace(name, str(path))
    return value
