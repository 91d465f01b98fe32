"""Nothing is chosen on test: every choice of docs/explanation/evaluation.md stays if the test labels are shuffled."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

import tfl
from tfl.config import ReportConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "evaluation.md"
MEASURED = {  # what is computed from test labels, as paths of evaluation.json; a dot and a name lead on, * is any place
    *("test", "intervals", "per_class", "confusion_matrix", "calibration", "slices"),
    *("decisions.selective.*.accuracy", "decisions.selective.*.low", "decisions.selective.*.high"),
    *("decisions.dont_know.accuracy", "decisions.dont_know.low", "decisions.dont_know.high"),
    *(f"decisions.precision_thresholds.*.{name}" for name in ("test_precision", "low", "high", "test_recall")),
    *(f"decisions.conformal.*.{name}" for name in ("test_coverage", "low", "high")),
}
RECIPES = {
    "fine-tuned": {"finetune": tfl.FinetuneConfig(epochs=2, learning_rate=1e-3, unfreeze="1")},
    "folds": {"probe": tfl.ProbeConfig(folds=3)},
}


def digits(shuffled):
    """Noisy digits in splits of their own, so that some are told wrongly; the test labels as they are, or shuffled."""
    source, rng = datasets.load_digits(n_class=6), np.random.default_rng(0)
    noisy = source.images * (255 / 16) + rng.normal(size=source.images.shape) * 40
    pixels, labels = np.clip(noisy, 0, 255).astype(np.uint8), source.target
    parts = zip(("train", "validation", "test"), np.split(np.arange(400), [180, 280]), strict=True)
    data = {name: (pixels[rows], labels[rows]) for name, rows in parts}
    return data | {"test": (data["test"][0], rng.permutation(data["test"][1]))} if shuffled else data


@pytest.fixture(scope="module", params=list(RECIPES))
def pair(request, tmp_path_factory, keras_home):
    """The same run twice, the second time with shuffled test labels."""
    folder = tmp_path_factory.mktemp(request.param.replace("-", "_"))
    config = tfl.TransferConfig(
        data=tfl.DataConfig(image_size=64, augmentation="none"),
        backbone=tfl.BackboneConfig(alpha=0.35),
        report=ReportConfig(gallery=0),
        **RECIPES[request.param],
    )
    return [tfl.transfer(config, folder / name, digits(name == "shuffled")) for name in ("plain", "shuffled")]


def read(run, name):
    return json.loads((run.workdir / name).read_text())


def leaves(value, path=""):
    """Yield every number of a nested structure with its path; places in lists are *, and are told apart by a number."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{place}")
    else:
        yield path, value


def pattern(path):
    return re.sub(r"\.\d+(?=\.|$)", ".*", path)


def is_measured(path):
    return any(pattern(path) == name or pattern(path).startswith(f"{name}.") for name in MEASURED)


def documented():
    """Return the places that the table of choices in the page names."""
    section = PAGE.read_text("utf-8").partition("## What is chosen, and on which data")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")][2:]
    return {place: row[1].strip() for row in rows for place in re.findall(r"`([^`]+)`", row[2])}


def test_the_labels_of_test_are_others_and_are_measured_as_such(pair):
    plain, shuffled = (run.metrics["test"]["accuracy"] for run in pair)
    assert plain > shuffled + 0.2


def test_every_choice_is_unchanged(pair):
    plain, shuffled = ({**dict(leaves(read(run, "evaluation.json")))} for run in pair)
    assert {path for path in plain if not is_measured(path)} == {path for path in shuffled if not is_measured(path)}
    assert [path for path in plain if not is_measured(path) and plain[path] != shuffled[path]] == []
    for name in ("phases", "kept", "validation", "choice"):
        assert pair[0].metrics.get(name) == pair[1].metrics.get(name)
    assert pair[0].model.metadata == pair[1].model.metadata  # with the temperature
    for ours, theirs in zip(pair[0].model.get_weights(), pair[1].model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_said_about_thresholds_is_unchanged(pair):
    pages = [(run.workdir / "report.html").read_text("utf-8") for run in pair]
    assert len({tuple(re.findall(r"below ([\d.]+).% confidence", page)) for page in pages}) == 1


def test_the_page_lists_every_choice(pair):
    """Each place of the page is in the run's files, and no choice that stands there is missing on the page."""
    known = documented()
    assert known and all("test" not in data.lower() for data in known.values())
    files = {"metrics.json": pair[0].metrics, "evaluation.json": read(pair[0], "evaluation.json")}
    found = {f"{name}:{pattern(path)}" for name, content in files.items() for path, _ in leaves(content)}
    found |= {f"history.csv:{name}" for name in (epochs(pair[0]) or [{}])[0]}
    absent = {place for place in known.keys() - found if "dont_know" not in place}  # which may find no threshold
    assert absent == (set() if epochs(pair[0]) else {"history.csv:val_calibrated_loss"})
    chosen = re.compile(r"(threshold|temperature|kept|l2|best_epoch)$")
    choices = {place for place in found if chosen.search(place)}
    assert {place for place in choices if ".path." not in place and ".contract" not in place} - known.keys() == set()


def epochs(run):
    """Return the rows of history.csv; none without fine-tuning."""
    file = run.workdir / "history.csv"
    if not file.exists():
        return []
    with file.open() as lines:
        return list(csv.DictReader(lines))


def test_what_each_epoch_came_to_is_unchanged(pair):
    assert epochs(pair[0]) == epochs(pair[1])
