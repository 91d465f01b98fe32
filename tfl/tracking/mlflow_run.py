"""One run at MLflow: its parameters, metrics, tags, files and model."""

import itertools
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tfl.config import flatten
from tfl.errors import StoppedError
from tfl.files.reading import read_csv
from tfl.tracking.mlflow_model import write_mlflow_model
from tfl.tracking.mlflow_store import Store, check_alive
from tfl.tracking.tracker import TrackedRun
from tfl.workdir import Workdir

FILES = (
    *("report.html", "MODEL_CARD.md", "metrics.json", "evaluation.json", "config.json"),
    *("splits.csv", "predictions.csv"),
)
MODEL = "model"  # its name at MLflow
T = TypeVar("T")


class MlflowRun(TrackedRun):
    """One run at MLflow.

    What MLflow has already is not sent again: a metric has one value for each epoch, also after an interruption.

    Args:
        store: the tracking store.
        info: `mlflow.entities.Run` of a run there.
        folder: the workdir.
    """

    def __init__(self, store: Store, info: Any, folder: Workdir) -> None:
        self.store, self.id, self.folder = store, info.info.run_id, folder
        self.experiment = info.info.experiment_id
        self.record = {"uri": store.uri, "experiment_id": self.experiment, "run_id": self.id}
        self.place = f"run {self.id} in the experiment {self.experiment} of {store.uri}"
        if store.uri.startswith("http"):
            self.place = f"{store.uri.rstrip('/')}/#/experiments/{self.experiment}/runs/{self.id}"
        self._sent: defaultdict[str, set[int]] = defaultdict(set)  # the steps of each metric that MLflow has
        for name in info.data.metrics:
            self._sent[name] = {metric.step for metric in store.client.get_metric_history(self.id, name)}
        self._parameters = set(info.data.params)

    def log_options(self) -> None:
        """Send the options of the run that MLflow has not got; the first start decides on their values."""
        from mlflow.entities import Param
        from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

        options = {
            name[:MAX_ENTITY_KEY_LENGTH]: str(value)[:MAX_PARAM_VAL_LENGTH]
            for name, value in flatten(self.folder.read_config()).items()
        }
        parameters = [Param(name, value) for name, value in options.items() if name not in self._parameters]
        for batch in batches(parameters, MAX_PARAMS_TAGS_PER_BATCH):
            self.store.client.log_batch(self.id, params=batch)

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Send the metrics of an epoch."""
        check_alive(self.store)
        self._send({epoch: values})

    def finish(self, model: Any) -> None:
        """Send the epochs that are missing, the results, the files and the model, and end the run."""
        check_alive(self.store)
        client, metrics = self.store.client, self.folder.read_metrics() or {}
        self._send(history(self.folder))
        self._send({0: results(metrics)})
        client.set_tag(self.id, "tfl.kept", str(metrics["kept"]))
        with tempfile.TemporaryDirectory() as place:
            for name in FILES:
                if (self.folder / name).exists():
                    (self.folder / name).copy(f"{place}/{name}")  # the workdir may be in an object store
            client.log_artifacts(self.id, place)
        self._log_model(model)
        client.set_terminated(self.id, "FINISHED")

    def stop(self, error: BaseException) -> None:
        """End the run at MLflow as killed or failed; a later start continues it."""
        check_alive(self.store)
        killed = isinstance(error, (KeyboardInterrupt, SystemExit, StoppedError))
        self.store.client.set_terminated(self.id, "KILLED" if killed else "FAILED")

    def _send(self, epochs: Mapping[int, Mapping[str, float]]) -> None:
        from mlflow.entities import Metric
        from mlflow.utils.validation import MAX_METRICS_PER_BATCH

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, epoch)
            for epoch, values in epochs.items()
            for name, value in values.items()
            if epoch not in self._sent[name]
        ]
        for batch in batches(metrics, MAX_METRICS_PER_BATCH):
            self.store.client.log_batch(self.id, metrics=batch)
            for metric in batch:
                self._sent[metric.key].add(metric.step)

    def _log_model(self, model: Any) -> None:
        from mlflow.entities import LoggedModelOutput

        client = self.store.client
        outputs = client.get_run(self.id).outputs
        if outputs is not None and outputs.model_outputs:  # an earlier try got so far
            return
        logged = client.create_logged_model(self.experiment, name=MODEL, source_run_id=self.id)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / MODEL
            facts = {"run_id": self.id, "model_id": logged.model_id, "artifact_path": logged.artifact_location}
            write_mlflow_model(model, folder, **facts)
            client.log_model_artifacts(logged.model_id, str(folder))
        client.finalize_logged_model(logged.model_id, "READY")
        client.log_outputs(self.id, [LoggedModelOutput(logged.model_id, step=0)])


def history(folder: Workdir) -> dict[int, dict[str, float]]:
    """Return the numbers of each epoch in the `history.csv` of a workdir; {} if nothing was fine-tuned."""
    if not (folder / "history.csv").exists():
        return {}
    rows = read_csv(folder / "history.csv", ["epoch"])
    return {
        int(row["epoch"]): {name: float(text) for name, text in row.items() if name != "epoch" and _is_number(text)}
        for row in rows
    }


def results(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the results in a `metrics.json` by name: of test and validation, and the intervals of test.

    Example:
        >>> results({"test": {"accuracy": 0.75}, "validation": {}, "intervals": {"accuracy": [0.5, 0.9]}})
        {'test_accuracy': 0.75, 'test_accuracy_low': 0.5, 'test_accuracy_high': 0.9}
    """
    values = {
        f"{split}_{name}": float(value)
        for split in ("test", "validation")
        for name, value in metrics[split].items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
    for name, (low, high) in metrics.get("intervals", {}).items():
        values |= {f"test_{name}_low": float(low), f"test_{name}_high": float(high)}
    return values


def batches(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in groups of at most `size`.

    Example:
        >>> list(batches("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    left = iter(items)
    while group := list(itertools.islice(left, size)):
        yield group


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
