"""The contract: every task with every input trains, resumes, loads, stores, exports, predicts, serves and reports.

The examples and formulas are in task_examples.py and input_examples.py.
"""

import csv
import dataclasses
import functools
import hashlib
import html
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from fastapi.testclient import TestClient
from input_examples import INPUTS, Data, InputExample
from option_runs import make_config
from scipy.stats import binomtest
from task_examples import TASKS, TaskExample
from warm import PATIENCE

import tfl
from tfl.backbones import weights_fingerprint
from tfl.features import extract, make_forward
from tfl.inputs import get_input, input_names
from tfl.recipe import finetune
from tfl.recipe.transfer import TransferResult
from tfl.serving import ServeOptions
from tfl.serving.app import create_app
from tfl.tasks import get_task, task_names
from tfl.tasks.task import CONFORMAL

OWN_INPUTS = ["row"]  # of docs/how-to/extending.md, for which no line of tfl is written
INPUT_NAMES = [*(name for name in input_names() if name not in OWN_INPUTS), *OWN_INPUTS]
TASK_NAMES = [name for name in task_names() if type(get_task(name)).__module__.startswith("tfl.")]  # no test's
CELLS = [
    (task, kind)
    for task in TASK_NAMES
    for kind in INPUT_NAMES
    if task in TASKS and kind in INPUTS and (kind == "image" or get_task(task).stands_on == "vector")
]
COUNT, SEED = 80, 0
# Beside SavedModel; one task each, as they take seconds.
FORMATS = {"multiclass": ["onnx"], "regression": ["litert"], "segmentation": ["litert"], "detection": ["litert"]}


def misfit(kind: str, registered: Sequence[str], examples: Iterable[str]) -> str:
    """Return what is wrong with a table of examples; "" if it has exactly the registered names."""
    examples = set(examples)
    for name in registered:
        if name not in examples:
            return f"{kind} {name!r} has no example: add one to tests/{kind}_examples.py"
    extra = examples.difference(registered)
    return f"tests/{kind}_examples.py has an example of {min(extra)!r}, which is not registered" if extra else ""


def test_every_task_and_every_input_has_an_example():
    assert misfit("task", TASK_NAMES, TASKS) == ""
    assert misfit("input", INPUT_NAMES, INPUTS) == ""
    assert misfit("task", ["a", "b"], ["a"]) == "task 'b' has no example: add one to tests/task_examples.py"
    assert misfit("input", ["a"], ["c", "a"]).endswith("has an example of 'c', which is not registered")


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of predictions.csv."""

    ids: list[str]
    names: tuple[str, ...]
    truth: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray

    @classmethod
    def read(cls, cell: "Cell") -> "Table":
        example, columns, folder = cell.task, get_task(cell.name).columns, cell.whole.workdir
        with (folder / "predictions.csv").open() as opened:
            rows = list(csv.DictReader(opened))
        ids = [row["id"] for row in rows]
        names = tuple(name.removeprefix(columns) for name in rows[0] if name.startswith(columns))
        if example.read is not None:
            truth, scores = example.read(rows, [cell.data.files[name] for name in ids], Path(folder / "model.keras"))
            return cls(ids, names, truth, example.decide(scores), scores)
        truth, predicted = (example.parse([row[name] for row in rows], names) for name in ("label", "predicted"))
        scores = np.array([[float(row[f"p_{name}"]) for name in names] for row in rows])
        return cls(ids, names, truth, predicted, scores)


@dataclasses.dataclass
class Cell:
    """A task with an input: its data, a run with a frozen backbone, and a fine-tuned run that finds its features."""

    name: str
    kind: str
    task: TaskExample
    input: InputExample
    folder: Path
    data: Data
    options: dict[str, Any]
    networks: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # whose features were computed, by run

    def run(self, name: str, **options: Any) -> TransferResult:
        """Run the options, some of them changed, in a folder with this name; note which networks compute features."""
        config = make_config(self.folder, self.folder / "store", self.options | self.data.options | options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(extract, "make_forward", self._noting(self.networks.setdefault(name, []), make_forward))
            return tfl.transfer(config, self.folder / name, data=self.data.python)

    @staticmethod
    def _noting(networks: list[str], make: Callable[..., Any]) -> Callable[..., Any]:
        def note_and_make(network: keras.Model, *arguments: Any, **options: Any) -> Any:
            networks.append(weights_fingerprint(network))
            return make(network, *arguments, **options)

        return note_and_make

    @functools.cached_property
    def frozen(self) -> TransferResult:
        """The first run, which fills the store."""
        return self.run("frozen", **{"finetune.epochs": 0})

    @functools.cached_property
    def stored(self) -> dict[str, str]:
        """The features that the first run stored: SHA-256 and time of each file."""
        return self.files_of_shelf()

    @functools.cached_property
    def whole(self) -> TransferResult:
        """A run that fine-tunes, on the same data as the first."""
        assert self.stored
        return self.run("whole", **{"report.gallery": 1})

    @functools.cached_property
    def table(self) -> Table:
        """The predictions of the whole run on the test split."""
        return Table.read(self)

    @functools.cached_property
    def expected(self) -> np.ndarray:
        """What every answer after training must be: the scores of the table, at the temperature of the model."""
        return self.task.at_temperature(self.table.scores, self.whole.model.metadata.temperature)

    def tabled(self, scores: np.ndarray) -> dict[str, float]:
        """Return what a table of answers tells of the scores of one example."""
        return (self.task.rounded or self.task.told)(scores, self.table.names)

    @functools.cached_property
    def contents(self) -> list[bytes]:
        """The files of the rows of the table."""
        return [self.data.files[name].read_bytes() for name in self.table.ids]

    @functools.cached_property
    def certificate(self) -> dict[str, Any]:
        """The certificate of the exported whole run."""
        options = tfl.ExportOptions(["saved_model", *FORMATS.get(self.name, [])])
        return tfl.export_workdir(self.whole.workdir, options, data=self.data.python)

    @functools.cached_property
    def shelf(self) -> Path:
        """The folder with the features of the frozen network; the report stores those of the fine-tuned one, too."""
        assert self.frozen
        (file,) = (self.folder / "store").rglob("*.npy")
        return file.parent

    def files_of_shelf(self) -> dict[str, str]:
        """Return SHA-256 and time of each file with features of the frozen network."""
        files = sorted(self.shelf.glob("*.npy"))
        return {
            file.name: f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_mtime_ns}" for file in files
        }


@pytest.fixture(scope="module", params=CELLS, ids="-".join)
def cell(request, tmp_path_factory) -> Iterator[Cell]:
    task, kind = request.param
    folder = tmp_path_factory.mktemp(f"{task}_{kind}")
    signals, labels = TASKS[task].draw(np.random.default_rng(SEED), COUNT)
    options = {
        "task.name": task,
        "data.split": (0.5, 0.2, 0.3),
        "data.batch_size": 8,
        "finetune.epochs": 2,
        "finetune.unfreeze": "all",
        "finetune.learning_rate": 1e-3,
        "checkpoint.every_steps": 2,
    }
    with INPUTS[kind].networks():
        data = INPUTS[kind].write(folder / "data", signals, labels)
        yield Cell(task, kind, TASKS[task], INPUTS[kind], folder, data, options)


def head_of(model: keras.Model) -> list[np.ndarray]:
    return model.layers[-1].get_weights()


def assert_same_bits(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_it_trains_and_its_metrics_are_those_of_its_predictions(cell):
    table, example, metrics = cell.table, cell.task, json.loads((cell.whole.workdir / "metrics.json").read_text())
    with (cell.whole.workdir / "splits.csv").open() as file:
        test = {row["id"] for row in csv.DictReader(file) if row["split"] == "test"}
    assert set(table.ids) == test and len(table.ids) == len(test) == metrics["test"]["num_examples"] > 20
    np.testing.assert_allclose(table.predicted, example.decide(table.scores), rtol=1e-8)
    assert metrics["test"]["loss"] == pytest.approx(example.loss(table.truth, table.scores), rel=1e-6, abs=1e-9)
    assert metrics["test"][example.metric] == pytest.approx(example.headline(table.truth, table.scores), rel=1e-6)
    assert get_task(cell.name).headline.metric == example.metric
    rng = np.random.default_rng(SEED)
    by_chance = [example.loss(table.truth, rng.permutation(table.scores)) for _ in range(50)]
    assert metrics["test"]["loss"] < min(by_chance)


def test_a_run_stopped_in_its_second_epoch_goes_on_to_the_same_bits(cell, monkeypatch, capsys):
    epochs: list[int] = []

    class Watched(finetune.StepScalars):
        def on_epoch_begin(self, epoch, logs=None):
            epochs.append(epoch)

        def on_steps(self, rows):
            super().on_steps(rows)
            if len(epochs) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "StepScalars", Watched)
    with pytest.raises(KeyboardInterrupt):
        cell.run("stopped")
    assert epochs == [0, 1] and not (cell.folder / "stopped" / "metrics.json").exists()
    epochs.append(-1)
    capsys.readouterr()
    resumed = cell.run("stopped")
    said, several = capsys.readouterr().err, get_input(cell.kind).noun[1]
    assert f"{several}: train" in said and f"on {len(cell.table.ids)} {several}" in said
    assert speaks_of_images(said, cell.folder) == (cell.kind == "image")
    assert epochs == [0, 1, -1, 1]  # the first epoch was not repeated
    assert_same_bits(resumed.model.get_weights(), cell.whole.model.get_weights())
    for name in ("predictions.csv", "validation_predictions.csv", "history.csv", "evaluation.json"):
        assert (resumed.workdir / name).read_bytes() == (cell.whole.workdir / name).read_bytes(), name
    assert resumed.metrics == cell.whole.metrics


def test_a_loaded_model_has_the_same_outputs_to_the_bit(cell):
    inputs = np.stack([cell.input.prepare(content) for content in cell.contents])
    outputs = cell.whole.model(inputs, training=False).numpy()
    loaded = tfl.load_model(cell.whole.workdir)
    assert loaded.metadata == cell.whole.model.metadata
    assert loaded.metadata.class_names == cell.table.names
    plain = keras.saving.load_model(cell.whole.workdir / "model.keras")
    for model in (loaded, plain):
        np.testing.assert_array_equal(model(inputs, training=False).numpy(), outputs)
    scores = get_task(cell.name).scores(outputs)
    np.testing.assert_allclose(scores, cell.table.scores, rtol=1e-4, atol=1e-5)


def test_features_are_computed_once_and_found_again(cell):
    (network,) = cell.networks["frozen"] if cell.stored else ()
    other = cell.run("other_split", **{"finetune.epochs": 0, "seed": SEED + 1})
    splits = [(run.workdir / "splits.csv").read_text() for run in (cell.frozen, cell.whole, other)]
    assert splits[0] == splits[1] != splits[2]
    assert network not in cell.networks["whole"] + cell.networks["other_split"]
    assert cell.files_of_shelf() == cell.stored
    probe = tfl.load_model(cell.whole.workdir / "checkpoints" / "probe.keras")
    assert_same_bits(head_of(probe), head_of(cell.frozen.model))
    assert any(np.any(mine != other) for mine, other in zip(head_of(probe), head_of(other.model), strict=True))


def test_exports_have_a_certificate_and_the_same_scores(cell):
    for name, entry in cell.certificate["artefacts"].items():
        assert entry["failures"] == [] and entry["max_difference"] <= 1e-5, name
        artefact = tfl.load_artefact(cell.whole.workdir / "export" / name)
        assert artefact.metadata == cell.whole.model.metadata
        np.testing.assert_allclose(artefact.predict_bytes(cell.contents), cell.expected, rtol=1e-5, atol=1e-5)
    assert "saved_model" in cell.certificate["artefacts"] and cell.certificate["rejected"] == {}


def test_files_are_predicted_as_in_the_evaluation(cell, tmp_path, run_script):
    files = [str(cell.data.files[name]) for name in cell.table.ids]
    rows = tfl.predict_files(cell.whole.workdir, files, str(tmp_path / "out.csv"))
    assert [file for file, _ in itertools.groupby(row[0] for row in rows)] == [
        file for file, told in zip(files, map(cell.tabled, cell.expected), strict=True) if told
    ]
    for file, scores in zip(files, cell.expected, strict=True):
        written = cell.task.written([row[1:] for row in rows if row[0] == file], cell.table.names)
        assert written == pytest.approx(cell.tabled(scores), rel=1e-5, abs=1e-4)
    with (tmp_path / "out.csv").open() as file:
        assert list(csv.reader(file))[1:] == rows
    if cell.name == TASK_NAMES[0] and cell.kind not in OWN_INPUTS:  # a script does not register them
        done = run_script(
            "scripts/predict.py", f"--model={cell.whole.workdir}", f"--output={tmp_path / 'b.csv'}", *files
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_the_service_answers_as_the_artefact(cell):
    assert cell.certificate
    path = cell.whole.workdir / "export" / "saved_model"
    with TestClient(create_app(ServeOptions(str(path)))) as client:
        deadline = time.monotonic() + PATIENCE
        while client.get("/readyz").status_code != 200:
            assert client.app.state.model.failure is None
            assert time.monotonic() < deadline, "the model was never ready"
            time.sleep(0.05)
        artefact = tfl.load_artefact(path)
        for content, expected in zip(cell.contents[:5], artefact.predict_bytes(cell.contents[:5]), strict=True):
            answer = client.post("/v1/models/model:classify", content=content)
            told = {name: like(value) for name, value in cell.task.told(expected, cell.table.names).items()}
            assert cell.task.listed(answer.raise_for_status().json()) == told
            body = {"instances": [cell.input.instance(content)]}
            (prediction,) = client.post("/v1/models/model:predict", json=body).json()["predictions"]
            assert prediction["class_names"] == list(cell.table.names) and cell.task.predicted(prediction) == told
        about = client.get("/v1/models/model/metadata").json()["metadata"]["tfl"]
        assert about["run"]["test"]["value"] == cell.whole.metrics["test"][cell.task.metric]
        assert about["run"]["name"] == "whole" and about["input"]["noun"] == list(get_input(cell.kind).noun)
        assert (about["certainty"] is not None) == (CONFORMAL in get_task(cell.name).analyses)
        refused = client.post("/v1/models/model:classify", content=cell.input.broken)
        assert 400 <= refused.status_code < 500
        assert len(refused.json()["error"]) > 10 and "\n" not in refused.json()["error"]
        assert client.get("/readyz").status_code == 200


def like(value: float) -> Any:
    return pytest.approx(float(value), rel=1e-5, abs=1e-6)


def test_report_and_card_have_the_main_metric_and_nothing_unfilled(cell):
    value = cell.task.headline(cell.table.truth, cell.table.scores)
    low, high = cell.whole.metrics["intervals"][cell.task.metric]
    if get_task(cell.name).headline.is_share:
        count = len(cell.table.ids)
        interval = binomtest(round(value * count), count).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((interval.low, interval.high))
    assert low <= value <= high and low < high
    figures = (f"{value:.3f}", f"{low:.3f} to {high:.3f}")
    page, card = ((cell.whole.workdir / name).read_text("utf-8") for name in ("report.html", "MODEL_CARD.md"))
    visible = html.unescape(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL))
    for text in (visible, card.replace("\\", "").replace("|", " ")):
        words = " ".join(text.split())
        assert " ".join((cell.task.metric.replace("_", " "), *figures)) in words.lower()
        assert re.findall(r"\b(?:None|nan|NaN|inf|Undefined)\b|\{\{|\}\}|\{%|%\}", words) == []
        assert speaks_of_images(words, cell.folder) == (cell.kind == "image")
    content = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    assert speaks_of_images(content, cell.folder) == (cell.kind == "image")  # also descriptions of charts
    has_pictures = get_input(cell.kind).has_pictures
    assert (page.count('<li class="card"') > 0) == has_pictures


def speaks_of_images(text: str, folder: Path) -> bool:
    """Return whether a text has the word "image" or "images"; paths of the run and names of options do not count."""
    return re.search(r"\bimages?\b", text.replace(str(folder), ""), re.IGNORECASE) is not None
