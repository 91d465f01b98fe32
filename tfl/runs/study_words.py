"""What a study says and what it does not say, in plain sentences for the screen and for its page."""

import collections
from collections.abc import Callable, Iterator

from tfl.evaluation.intervals import student_factor
from tfl.runs.study import StudyResult

FEW, ENOUGH = 5, 10  # seeds: below FEW the interval of the mean is wide; ENOUGH is for comparison
CHANGES = (
    "A seed changes the division of a source that does not have train, validation and test of its own, the random "
    "start of what is trained, the order of the examples, and their augmentation."
)
_PHASES = {"probe": "frozen", "finetune": "fine-tuned"}
_INSIDE = ("the random start of what is trained", "the order of the examples", "augmentation")

Write = Callable[[float], str]


def spoken_phase(kept: str) -> str:
    """Return the phase that a run kept, in words.

    Example:
        >>> spoken_phase("probe")
        'frozen'
    """
    return _PHASES.get(kept, kept)


def describe_examples(study: StudyResult) -> str:
    """Say whether the seeds have the same test examples, and so what the interval of the mean is about."""
    same, (_, several) = study.same_examples, study.nouns
    if len(study.runs) < 2:
        return ""
    if not same:
        return f"It is not known whether the runs have the same test {several}, because a run has no splits.csv."
    own = f"The interval of one run is about its test {several}."
    if not same["test"]:
        return (
            f"The test {several} differ between the seeds, because each seed divided the data in its own way. So the "
            f"interval of the mean is about the division and about the random choices of training. The runs share "
            f"most of their {several}, so for other data it is too narrow. {own}"
        )
    count = int(study.runs[0].test["num_examples"])
    choices = f"{', '.join(_INSIDE[:-1])} and {_INSIDE[-1]}"
    if same["train"] and same["validation"]:
        return (
            f"All seeds have the same training, validation and test {several} ({count:,} for the test). So the "
            f"interval of the mean is about {choices} alone. {own}"
        )
    return (
        f"All seeds have the same {count:,} test {several}, and each has its own division into training and "
        f"validation. So the interval of the mean is about this division, {choices}, and not about the choice of "
        f"test {several}. {own}"
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
        yield "advice", f"All runs have the same {noun}, {write(study.mean)}. So their interval has no width."
    elif study.headline.is_share and not 0 <= low <= high <= 1:
        yield (
            "problem",
            f"The interval, {low:.2f} to {high:.2f}, goes beyond what an {noun} can be: {number} seeds say little "
            "about the mean.",
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
