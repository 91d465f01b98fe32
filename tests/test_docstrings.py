"""Every example in a docstring of tfl runs and prints what it says, and every public name has one."""

import ast
import doctest
import importlib
import inspect
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import warm
from option_runs import build_tiny, write_photos

import tfl
from tfl.backbones import catalog
from tfl.export import format_table

ROOT = Path(__file__).resolve().parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NOT_RUN = {"tfl.backbones.published.published_weights": "it fetches a file of Keras from the network"}
REAL_NETWORK = (  # in the others MobileNetV2 is a network of three layers
    "tfl.backbones.stages.find_maps",
    "tfl.backbones.weights.build_backbone",
)
OWN_PROCESS = ("tfl.distribution.strategy.make_strategy",)  # sets global state of TensorFlow
STANDARD = {"Path": Path, "json": json, "keras": keras, "np": np, "sys": sys, "tf": tf, "tfl": tfl}


def documented(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    """Yield dotted name and docstring of a module and of everything in it."""
    if (text := ast.get_docstring(node)) is not None:
        yield name, text
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from documented(child, f"{name}.{child.name}")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_of(path): path.read_text() for path in sorted((ROOT / "tfl").rglob("*.py"))}
EXAMPLES = {
    name: (module, text)
    for module, source in SOURCES.items()
    for name, text in documented(ast.parse(source), module)
    if ">>>" in text
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    """The folder that examples run in: photos, and a finished run on them with its export."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(keras.applications, "MobileNetV2", build_tiny)
        for kind, number in (("photos", 0), ("insects", 1)):
            write_photos(folder / kind, (30, 30, 30), number)
            for label, name in enumerate(("ant", "bee", "wasp")):
                (folder / kind / f"class_{label}").rename(folder / kind / name)
        picture = tf.io.decode_png((folder / "photos" / "ant" / "0.png").read_bytes())
        (folder / "ant.jpg").write_bytes(tf.io.encode_jpeg(picture).numpy())
        tfl.transfer(make("config", {}), "runs/photos")
        shutil.copytree(folder / "runs" / "photos", folder / "runs" / "again")
        write_study(folder / "runs")
        tfl.export_workdir("runs/photos", tfl.ExportOptions(formats=["litert"]))
        patch.setitem(catalog._BY_NAME, "Patches", catalog.get_backbone_spec("MobileNetV2"))  # forgotten at the end,
        patch.setitem(format_table._OWN, "plain", None)  # and so is what examples put in their place
        yield folder


def write_study(runs: Path) -> None:
    """Let the finished run be each run of a study."""
    for seed in range(3):
        run = runs / "study" / f"seed_{seed}"
        shutil.copytree(runs / "photos", run)
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps(config | {"seed": seed}))
    tfl.run_study(make("config", {}), runs / "study", seeds=3)


# What the text around an example gives its reader. Each function is called with the other values that are needed.
GIVEN: dict[str, Callable[..., Any]] = {
    "config": lambda: tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos")),
    "splits": lambda: tfl.load_data("folder:photos"),
    "model": lambda: tfl.load_model("runs/photos"),
    "lower": lambda model: importlib.import_module("tfl.models.classifier").split_at_features(model)[0],
    "dataset": lambda splits: tfl.make_dataset(splits.source, splits.test, image_size=224, batch_size=8),
    "images": lambda: np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3), np.uint8),
    "image": lambda images: images[0],
    "features": lambda: np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32),
    "labels": lambda: np.tile([0, 1, 2], 2),
    "test": lambda: tfl.read_predictions("runs/photos/predictions.csv")[0],
    "validation": lambda: tfl.read_predictions("runs/photos/validation_predictions.csv")[0],
    "finetuned": lambda test: test,
    "frozen": lambda test: test.at(2.0),
    "kernel": lambda: np.ones((4, 3), np.float32),
    "values": lambda: np.arange(100.0),
    "digest": lambda: "5f0c",
    "keys": lambda: [f"{number:064x}" for number in range(60)],
}


def make(name: str, made: dict[str, Any]) -> Any:
    """Return a value of the table, made once for each example."""
    if name not in made:
        needed = inspect.signature(GIVEN[name]).parameters
        made[name] = GIVEN[name](**{each: make(each, made) for each in needed})
    return made[name]


def names_in(test: doctest.DocTest) -> set[str]:
    """Return the names that an example reads."""
    tree = ast.parse("".join(example.source for example in test.examples))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def run_example(name: str) -> None:
    """Run the example of a docstring; raise an error with doctest's report if it fails."""
    module, text = EXAMPLES[name]
    names = STANDARD | vars(importlib.import_module(module))
    test = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    made: dict[str, Any] = {}
    used = sorted(names_in(test) & GIVEN.keys() - vars(importlib.import_module(module)).keys())
    if "features" in used and "labels" in used:
        made["labels"] = np.tile([0, 1, 2], 20)  # a label for each row
    test.globs |= {each: make(each, made) for each in used}
    report = io.StringIO()
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=report.write)
    assert not failed, report.getvalue()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_example_runs(name, place):
    del place
    if name in NOT_RUN:
        pytest.skip(NOT_RUN[name])
    if name in OWN_PROCESS:
        warm.call(run_example, name)
    elif name in REAL_NETWORK:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keras.applications, "MobileNetV2", keras.src.applications.mobilenet_v2.MobileNetV2)
            run_example(name)
    else:
        run_example(name)


def test_every_example_is_found():
    """No prompt stands in a comment, a string or a docstring that the tests above do not read."""
    in_docstrings = sum(text.count(">>> ") for _, text in EXAMPLES.values())
    assert in_docstrings == sum(source.count(">>> ") for source in SOURCES.values())
    parser = doctest.DocTestParser()
    for name, (_, text) in EXAMPLES.items():
        assert len(parser.get_examples(text)) == text.count(">>> "), name
        assert "\nExample:\n" in text and "+SKIP" not in text, name


def test_the_tables_name_examples():
    assert {*NOT_RUN, *REAL_NETWORK, *OWN_PROCESS} <= EXAMPLES.keys()
    read = set().union(*(names_in(doctest.DocTestParser().get_doctest(text, {}, name, None, None))
                         for name, (_, text) in EXAMPLES.items()))  # fmt: skip
    assert read >= GIVEN.keys() - {"image", "test"}


@pytest.mark.parametrize("name", tfl.__all__)
def test_every_public_name_has_an_example(name):
    value = getattr(tfl, name)
    if inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value)):
        assert "\nExample:\n" in inspect.getdoc(value)


@pytest.mark.parametrize(
    ("text", "report"),
    [
        (">>> 1 + 1\n3", r"Got:\s+2"),
        (">>> tfl.nothing()", "has no attribute 'nothing'"),
        (">>> len(labels)", r"Got:\s+6"),
    ],
)
def test_an_example_that_is_wrong_fails(text, report, monkeypatch):
    monkeypatch.setitem(EXAMPLES, "wrong", ("tfl.registry", text))
    with pytest.raises(AssertionError, match=report):
        run_example("wrong")
