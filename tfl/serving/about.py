"""What a visitor must know about the model that answers: its run, its result on test, and its promise."""

from typing import Any, NamedTuple

from etils import epath

from tfl.errors import InputError
from tfl.evaluation.conformal import MeasuredCoverage, choose_coverage
from tfl.evaluation.evaluation import Evaluation
from tfl.export.publish import read_certificate
from tfl.files.writing import is_local
from tfl.models.metadata import Metadata, read_date
from tfl.progress import say
from tfl.runs.recorded import recorded_evaluation
from tfl.serving.certainty import Certainty
from tfl.serving.options import ServeOptions
from tfl.workdir import Workdir, is_from_folds

MODEL = "model.keras"  # of a run
_RUN_FILES = ("config.json", "metrics.json", MODEL)


class _Origin(NamedTuple):
    """The run of a model.

    Attributes:
        run: its folder.
        is_evaluated: whether the model gives the probabilities that the run evaluated; a quantized export does not.
    """

    run: Workdir
    is_evaluated: bool


class About(NamedTuple):
    """Facts about a served model, for people.

    Attributes:
        facts: the facts, ready for JSON; docs/serving.md lists them.
        certainty: the rule by which the model says that it is not sure; None if its run recorded none.
    """

    facts: dict[str, Any]
    certainty: Certainty | None


def title_of(options: ServeOptions) -> str:
    """Return the name of a model for people: the name that the user gave, else that of the run or of the file.

    Example:
        >>> title_of(ServeOptions("runs/photos")), title_of(ServeOptions("runs/photos", name="insects"))
        ('photos', 'insects')
    """
    if options.name != ServeOptions.name:
        return options.name
    path = _full(options.model)
    origin = _origin_of(path)
    return origin.run.path.name if origin else path.name


def read_about(model: epath.PathLike, metadata: Metadata) -> About:
    """Read what the run of a model recorded; a damaged file gives a warning, because the model itself can answer.

    Args:
        model: the path of the model, as in `ServeOptions`.
        metadata: of the model.
    """
    path = _full(model)
    origin = _origin_of(path)
    file = origin.run / MODEL if origin else path
    facts: dict[str, Any] = {
        "name": origin.run.path.name if origin else "",
        "network": metadata.network,
        "date": read_date(file) if file.suffix == ".keras" else "",
    }
    if origin is None or not origin.is_evaluated:
        return About(facts, None)
    try:
        evaluation = recorded_evaluation(origin.run, metadata.task)
        held_out = "held-out" if is_from_folds(origin.run) else "validation"
    except InputError as error:
        say(f"Warning: the page shows no test result, because the files of the run cannot be read. {error}")
        return About(facts, None)
    if evaluation is None:
        return About(facts, None)
    return About(facts | {"test": _describe_test(evaluation, metadata)}, _certainty(evaluation, metadata, held_out))


def _full(model: epath.PathLike) -> epath.Path:
    path = epath.Path(model).expanduser()
    return path.resolve() if is_local(path) else path  # "." gets a name


def _origin_of(path: epath.Path) -> _Origin | None:
    """Find the run of a model: the path is its folder, its model file, or one of its certified exports."""
    if _is_run(path):
        return _Origin(Workdir(path), is_evaluated=True)
    if path.name == MODEL and _is_run(path.parent):
        return _Origin(Workdir(path.parent), is_evaluated=True)
    if not _is_run(path.parent.parent):
        return None
    try:
        exported = read_certificate(path.parent)["artefacts"].get(path.name)
    except InputError:
        return None
    return exported and _Origin(Workdir(path.parent.parent), is_evaluated=exported.get("quantize") == "none")


def _is_run(folder: epath.Path) -> bool:
    return all((folder / name).exists() for name in _RUN_FILES)


def _describe_test(evaluation: Evaluation, metadata: Metadata) -> dict[str, Any]:
    headline, ends = metadata.task.headline, evaluation.headline_interval
    return {
        "metric": headline.noun,
        "is_share": headline.is_share,
        "value": evaluation.test.get(headline.metric),
        "interval": list(ends) if ends else None,
        "num_examples": evaluation.test.get("num_examples"),
    }


def _certainty(evaluation: Evaluation, metadata: Metadata, held_out: str) -> Certainty | None:
    """Return the rule; the thresholds hold only at the temperature at which they were calibrated."""
    row: MeasuredCoverage | None = choose_coverage(evaluation.conformal, metadata.task)
    if row is None or evaluation.temperature != metadata.temperature:
        return None
    return Certainty(row, metadata, held_out)
