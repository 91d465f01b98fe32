"""Configs that differ from the default in three options, drawn at random: finished and equal after reload, or refused.

TFL_SOAK=1 python -m pytest tests/test_random_options.py    # 200 configs, about 16 processor minutes
"""

import json
import os

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.config import flatten
from tfl.errors import InputError
from tfl.recipe.unused import unused_options
from tfl.runs.evaluate import evaluate_workdir

COUNT = 200 if "TFL_SOAK" in os.environ else 6
FIXED = {"data.source", "data.image_size", "data.max_bad_fraction", "features.store", "strategy", "deterministic"}
VALUES = {  # some are refused alone, some with others
    "seed": (1, 2**31 - 1, -1),
    "precision": ("mixed_bfloat16", "mixed_float16", "Float32"),
    "data.columns": ("label=x", "lable=x"),
    "data.decisions": ("OTHER.csv", "None", "nowhere.csv"),
    "data.label_pattern": (r"class_(\d)", "[a-z]+"),
    "data.group_pattern": (r"(\d)\.", "(("),
    "data.groups": ("OTHER.csv", "None", "nowhere.csv"),
    "data.tfds_splits": ("train[:50%]", "trian=x"),
    "data.tfds_dir": ("Default", "nowhere"),
    "tracking": ("None", "mlfow"),
    "budget_minutes": (1e-6, 100.0, -1.0),
    "segmentation.ignore_label": (0, -1, -2),
    "data.batch_size": (1, 7, 1000, 0),
    "data.split": ((0.5, 0.25, 0.25), (0.4, 0.3, 0.3), (0.9, 0.1, 0.0)),
    "data.split_by": ("content", "Class", "time", "nowhere.csv"),
    "data.train_examples_per_class": (1, 3, 500),
    "data.channels": (4, 2),
    "data.bit_depth": (8, 12, 17),
    "data.window": ((0.0, 128.0), (9.0, 1.0)),
    "data.scaled_decoding": (True,),
    "data.augmentation": ("none", "shift", "rand", "Light"),
    "backbone.name": ("VGG16", "mobilenet", "MobileNett"),
    "backbone.alpha": (0.25, 0.5, 2.0),
    "backbone.weights": ("imagenetz", "NONE"),
    "backbone.torch_name": ("resnet50", "a/b"),
    "backbone.sha256": ("0" * 64, "0"),
    "pretrain.source": ("folder:OTHER", "folder:nowhere"),
    "pretrain.method": ("barlow_twins", "simclr"),
    "pretrain.epochs": (1, 2),
    "pretrain.learning_rate": (1e-4, 1e-2),
    "pretrain.augmentation": ("none", "light"),
    "scratch.epochs": (1, 2),
    "scratch.learning_rate": (1e-4, 1e-2),
    "head.pooling": ("max", "gem", "GEM", "layers", "auto"),
    "head.hidden_units": ((4,), (8, 4), (0,)),
    "head.dropout": (0.5, 0.99, 1.0),
    "task.name": ("binary", "multilabel", "regression", "MultiClass"),
    "features.runtime": ("tensorflow", "openvino"),
    "features.dtype": ("float16", "float64"),
    "features.views": (1, 2, -1),
    "features.max_bytes": (0, 100),
    "probe.solver": ("none", "None", "ridge"),
    "probe.l2": (1e-6, 0.1, 1e6),
    "probe.folds": (1, 2, 3, 50),
    "probe.rule": ("one_standard_error", "best"),
    "finetune.epochs": (1, 2),
    "finetune.unfreeze": ("0", "2", "all", "0.5", "0.01", "re:conv3", "conv3", "re:bn3", "conv9"),
    "finetune.batch_norm": ("train", "Train"),
    "finetune.optimizer": ("sgd", "adamw", "lion"),
    "finetune.learning_rate": (1e-6, 1e-2),
    "finetune.momentum": (0.0, 0.99),
    "finetune.nesterov": (True,),
    "finetune.schedule": ("constant", "step"),
    "finetune.warmup_fraction": (0.0, 1.0),
    "finetune.layer_decay": (0.5, 0.01),
    "finetune.l2": (1e-4, 1.0),
    "finetune.l2_sp": (1e-4, 1.0),
    "finetune.weight_decay": (1e-4, 1.0),
    "finetune.clip_norm": (1e-3, 10.0),
    "finetune.label_smoothing": (0.1, 0.9),
    "finetune.loss": ("focal", "generalized_cross_entropy", "hinge"),
    "finetune.focal_gamma": (0.0, 5.0),
    "finetune.gce_q": (0.01, 1.0, 0.0),
    "finetune.class_weight": ("balanced", "Inverse", "effective"),
    "finetune.class_weight_beta": (0.0, 0.9, 1.0),
    "finetune.sampling": ("balanced", "Balanced"),
    "finetune.logit_adjustment": (0.5, 1.0),
    "finetune.mixup": (0.2, 10.0),
    "finetune.cutmix": (0.2, 10.0),
    "finetune.ema": (0.5, 0.999),
    "finetune.early_stopping": (1, 100),
    "finetune.accumulate": (2, 7),
    "finetune.jit_compile": (True,),
    "finetune.max_skipped_steps": (0, 1),
    "checkpoint.every_seconds": (0.0, 0.001),
    "checkpoint.every_steps": (1, 3),
    "checkpoint.keep": (1, 5),
    "report.gallery": (1, 2),
    "report.audit": (False, True),
}


def test_every_option_is_drawn():
    assert set(VALUES) | FIXED == set(flatten(tfl.TransferConfig().to_dict()))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random_options")
    (folder / "other.csv").write_text("id,decision,label\nclass_0/1.png,relabel,class_1\nclass_1/1.png,exclude,\n")
    with tiny_networks():
        yield write_photos(folder / "photos", (14, 14, 8)), write_photos(folder / "other", (10, 10), seed=1)


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_random_config_is_finished_or_refused_in_one_line(seed, sources, tmp_path, capsys):
    photos, other = sources
    rng = np.random.default_rng(seed)
    chosen = {path: VALUES[path][rng.integers(len(VALUES[path]))] for path in rng.choice(list(VALUES), 3, False)}
    chosen = {path: value.replace("OTHER", str(other)) if isinstance(value, str) else value
              for path, value in chosen.items()}  # fmt: skip
    tuned = {"finetune.epochs": 1} if seed % 2 else {}
    config, workdir = make_config(photos, tmp_path / "store", tuned | chosen), tmp_path / "run"
    try:
        result = tfl.transfer(config, workdir)
    except InputError as error:
        assert "\n" not in str(error)
        assert "Received: " in str(error)
        assert not (workdir / "config.json").exists(), f"refused after the folder was claimed: {error}"
        return
    said = capsys.readouterr().err
    for path in unused_options(config.validate()):
        assert f"Warning: {path}=" in said
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics["contract"]
    assert result.metrics["test"] == metrics["test"]
    rounding = 1e-3 if config.features.dtype == "float16" else 1e-4  # the run saw stored features, this the images
    assert evaluate_workdir(workdir)["test"] == pytest.approx(metrics["test"], rel=rounding, abs=1e-5)
