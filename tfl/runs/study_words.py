"""What a study says and what it does not say, in plain sentences for the screen and for its page."""

import collections
import math
from collections.abc import Callable, Iterator

from tfl.evaluation.intervals import student_factor
from tfl.runs.study import StudyResult, between

FEW, ENOUGH = 5, 10  # seeds: below FEW the interval of the mean is wide; ENOUGH is for comparison
CHANGES = (
    "A seed changes the division of a source that does not have train, validation and test of its own, the random "
    "start of the layers that are trained, the order of the examples, and their augmentation."
)
_PHASES = {"probe": "frozen", "finetune": "fine-tuned"}

Write = Callable[[float], str]


def spoken_phase(kept: str) -> str:
    """Return the phase that a run kept, in words.

    Example:
        >>> spoken_phase("probe")
        'frozen'
    """
    return _PHASES.get(kept, kept)


def describe_examples(study: StudyResult) -> tuple[str, str]:
    """Say whether the runs have the same test examples, and what this means for the interval of the mean.

    Two runs that share examples are not independent. So the interval is too narrow if each seed divides the same data
    in its own way.

    Reference:
        Nadeau and Bengio 2003, Inference for the generalization error.
    """
    same, (_, several) = study.same_examples, study.nouns
    own = f"The interval of each run is about its test {several}."
    if not same:
        return f"It is not known whether the runs have the same test {several}: a run has no splits.csv.", own
    if not same["test"]:
        return (
            f"The test {several} differ between the seeds: each seed divided the data in its own way.",
            "So the interval of the mean is about this division and the random choices of training. The runs share "
            f"many {several}, so for other data the interval is too narrow. {own}",
        )
    count = int(study.runs[0].test["num_examples"])
    if same["train"] and same["validation"]:
        return (
            f"All seeds have the same {count:,} test {several}, and the same for training and validation.",
            f"So the interval of the mean is about the random choices of training alone. {own}",
        )
    return (
        f"All seeds have the same {count:,} test {several}; each divided the rest into training and validation.",
        "So the interval of the mean is about this division and the random choices of training, and not about the "
        f"choice of test {several}. {own}",
    )


def describe_kept(study: StudyResult) -> str:
    """Say which phase the runs kept.

    Example:
        >>> describe_kept(tfl.load_study("runs/study"))
        'frozen in 3 of 3 runs'
    """
    counts = collections.Counter(spoken_phase(run.kept) for run in study.runs).most_common()
    return ", ".join(f"{name} in {count} of {len(study.runs)}" for name, count in counts) + " runs"


def cautions(study: StudyResult, write: Write) -> Iterator[tuple[str, str]]:
    """Yield ("problem" or "advice", sentence) for each reason to read the result with care, the gravest first.

    Args:
        study: the study.
        write: formats a value of the main metric.
    """
    number, asked, noun = len(study.runs), len(study.seeds), study.headline.noun
    if number < asked:
        left = ", ".join(str(seed) for seed in study.seeds if seed not in {run.seed for run in study.runs})
        yield "problem", f"{number} of {asked} runs are finished (missing: {left}). The same command continues."
    if study.interval is None:
        yield "problem", "One run has no interval over seeds."
        return
    low, high = study.interval
    if min(study.values) == max(study.values):
        yield "problem", f"All runs have the same {noun}, {write(study.mean)}. So their interval has no width."
    elif not _lowest(study) <= low <= high <= _highest(study):
        yield (
            "problem",
            f"The interval {between(study.interval, study.headline.digits)} has values that no {noun} can have: "
            f"{number} seeds say little about the mean.",
        )
    if number < FEW:
        yield (
            "advice",
            f"With {number} seeds, the interval reaches {student_factor(number):.1f} standard deviations to each side "
            f"of the mean. With {FEW} seeds it would be {student_factor(FEW):.1f}, with {ENOUGH} seeds "
            f"{student_factor(ENOUGH):.1f}. Give more seeds to the same command: finished runs stay.",
        )
    yield (
        "advice",
        f"Report the mean, and not the best of the {number} runs: the best of several test results is too good.",
    )


def _lowest(study: StudyResult) -> float:
    """Return the lowest value that the main metric can have."""
    return 0.0 if study.headline.is_share or study.headline.metric.endswith("_error") else -math.inf


def _highest(study: StudyResult) -> float:
    """Return the highest value that the main metric can have."""
    return 1.0 if study.headline.is_share else math.inf
