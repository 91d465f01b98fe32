"""The result of a run: its model, metrics and folder, and what can be asked of it."""

import dataclasses
import os
import shlex
from collections.abc import Sequence
from typing import Any

import keras
from etils import epath

from tfl.evaluation import balanced_text, headline_text
from tfl.evaluation.intervals import FEW_GROUPS
from tfl.export.artefact import artefact_of_model
from tfl.models.classifier import load_model
from tfl.models.metadata import show_label_order
from tfl.notebook import html_table
from tfl.progress import say
from tfl.runs import TOP
from tfl.runs.next_steps import next_steps
from tfl.runs.predict import answer_files
from tfl.workdir import Workdir

Metrics = dict[str, Any]

_KEPT = {"probe": "the frozen network with the new head", "finetune": "the fine-tuned network"}


@dataclasses.dataclass(frozen=True)
class TransferResult:
    """The result of a run.

    Attributes:
        model: the classifier, from images in [0, 255] to logits.
        metrics: the contents of `metrics.json`.
        workdir: the folder of the run.

    Example:
        >>> result = tfl.transfer(config, "runs/photos")
        >>> result.metrics["kept"], result.workdir.name
        ('probe', 'photos')
    """

    model: keras.Model
    metrics: Metrics
    workdir: epath.Path

    def predict(self, files: str | os.PathLike[str] | Sequence[Any], top: int = TOP) -> list[dict[str, Any]]:
        """Predict files with the model of the run, at its temperature, as `tfl.predict_files` does.

        A file that is unusable is reported and left out.

        Args:
            files: files, and folders that are searched with all their subfolders; or one of them.
            top: number of classes in each answer, the most probable ones.

        Returns:
            A dict for each usable file: its "path", and the answer of the task as in the answers of the service:
            "classes", the most probable first, each with its "class" and "probability"; "values" for a regression.

        Raises:
            InputError: no file is usable.

        Example:
            >>> result = tfl.load_run("runs/photos")
            >>> (answer,) = result.predict("ant.jpg")
            >>> answer["path"], [sorted(each) for each in answer["classes"]]
            ('ant.jpg', [['class', 'probability'], ['class', 'probability'], ['class', 'probability']])
        """
        several = [files] if isinstance(files, (str, os.PathLike)) else files
        return answer_files(artefact_of_model(self.model, self.workdir), [os.fspath(file) for file in several], top)

    def __repr__(self) -> str:
        return f"TransferResult({str(self.workdir)!r}: kept {self.metrics['kept']}, test {self._headline('test')})"

    def _repr_html_(self) -> str:
        shown = [(name, self._headline(name)) for name in ("test", "validation") if name in self.metrics]
        phases = ", ".join(self.metrics.get("phases", {}))
        rows = [*shown, ("kept", f"{self.metrics['kept']} (phases: {phases})"), ("folder", str(self.workdir))]
        return html_table(("TransferResult", ""), rows)

    def _headline(self, split: str) -> str:
        intervals = self.metrics.get("intervals") if split == "test" else None
        return headline_text(self.model.metadata, self.metrics[split], intervals)


def load_run(workdir: epath.PathLike) -> TransferResult:
    """Open a finished run again: its model, its metrics and its folder, as `tfl.transfer` returned them.

    Args:
        workdir: the folder of the run; `~` is the home folder.

    Raises:
        InputError: the folder is not that of a finished run, or a file in it is damaged.

    Example:
        >>> result = tfl.load_run("runs/photos")
        >>> result.model.metadata.class_names, result.metrics["test"]["num_examples"]
        (('ant', 'bee', 'wasp'), 12)
    """
    run = Workdir.open_finished(workdir)
    return TransferResult(load_model(run.path), run.read_metrics() or {}, run.path)


def say_result(result: TransferResult) -> None:
    """Tell the user how good the model of a run is, where everything is, and what can be done next."""
    metrics, metadata, folder = result.metrics, result.model.metadata, shlex.quote(str(result.workdir))
    for name, values in metrics.get("comparison", {}).items():
        say(f"{name.replace('_', ' ') + ':':<14} test {headline_text(metadata, values)}")
    show_label_order(metadata)
    say(f"kept: {_KEPT.get(metrics['kept'], metrics['kept'])}; the model and all results are in {folder}")
    say(f"test {headline_text(metadata, metrics['test'], metrics.get('intervals'))}{_groups(metrics)}")
    balanced = balanced_text(metadata, metrics["test"], metrics.get("intervals"))
    if balanced:
        say(f"test {balanced}")
    say(next_steps(Workdir(result.workdir)))


def _groups(metrics: dict[str, Any]) -> str:
    number = metrics.get("num_groups", 0)
    few = ", which are so few that it is too narrow" if number < FEW_GROUPS else ""
    return f"; the interval resamples {number:,} groups{few}" if number else ""
