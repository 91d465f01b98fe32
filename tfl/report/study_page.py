"""Write the page of a study: the mean over its seeds, a dot for each run, and links to the reports of the runs."""

import dataclasses
from collections.abc import Callable, Sequence

from tfl.config import PYTHON_DATA
from tfl.files.seed_folders import STUDY_JSON, STUDY_PAGE
from tfl.files.writing import write_text
from tfl.report.blocks import Block, Charts, Code, Link, Section, Table, Text
from tfl.report.charts import Chart, Series, draw
from tfl.report.environment import python_command
from tfl.report.finding import Finding
from tfl.report.head import Head, Tile
from tfl.report.page import fill_template
from tfl.report.wording import count, figure, interval, percent, sentence_start, spoken
from tfl.runs.study import SeedRun, StudyResult
from tfl.runs.study_words import CHANGES, cautions, describe_examples, describe_kept, spoken_phase

MOST_NAMES = 15  # seeds below the chart


def write_study_page(study: StudyResult) -> None:
    """Write `study.html`.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(study.workdir / STUDY_PAGE, render_study(study))


def render_study(study: StudyResult) -> str:
    """Return the text of `study.html`; the study has at least one finished run."""
    warned = list(cautions(study, _write(study)))
    findings = [Finding(kind, 100 - place, text) for place, (kind, text) in enumerate(warned)]
    sections = [
        Section("good", "How good it is", _results(study)),
        Section("seeds", "What a seed changes", [Text(CHANGES), *_examples(study)]),
        Section("again", "To do it again", _again(study)),
    ]
    return fill_template(_head(study), findings, sections, has_pictures=False)


def _write(study: StudyResult) -> Callable[[float], str]:
    return percent if study.headline.is_share else figure


def _examples(study: StudyResult) -> list[Block]:
    return [Text(" ".join(describe_examples(study)))] if len(study.runs) > 1 else []


def _head(study: StudyResult) -> Head:
    write, runs = _write(study), count(len(study.runs), "run")
    name = f"{spoken(study.headline.metric)} on test {study.nouns[1]}"
    heading = f"{name}: {write(study.mean)}, the mean of {runs}"
    ends = study.interval
    lead = f"The 95 % interval of the mean over the seeds is {interval(*ends, write)}. " if ends else ""
    drawn = (max(0.0, ends[0]), min(1.0, ends[1])) if ends and study.headline.is_share else None
    values = study.values
    return Head(
        title=f"{study.workdir.name}: {heading}",
        over=f"Study of {count(len(study.seeds), 'seed')} in {study.workdir.name}",
        heading=heading,
        lead=f"{lead}{study.config.backbone.name} on {_source(study)}.",
        tiles=[
            Tile(
                f"{spoken(study.headline.metric)}, mean",
                write(study.mean),
                f"95 % interval over the seeds {interval(*ends, write)}" if ends else "no interval: one run",
                min(1.0, max(0.0, study.mean)),
                drawn,
            ),
            Tile("Lowest and highest", f"{write(min(values))} to {write(max(values))}", f"of {runs}"),
            Tile("What was kept", describe_kept(study).partition(" in ")[0], describe_kept(study)),
            Tile(sentence_start(f"test {study.nouns[1]}"), _sameness(study), "in all runs, from splits.csv"),
        ],
    )


def _source(study: StudyResult) -> str:
    source = study.config.data.source
    return "Python data" if source == PYTHON_DATA else source


def _sameness(study: StudyResult) -> str:
    same = study.same_examples
    return "not known" if not same else "the same" if same["test"] else "not the same"


def _results(study: StudyResult) -> list[Block]:
    blocks: list[Block] = [_table(study), Charts([dot_plot(study)])]
    if len(study.runs) > 1:
        caption = "All metrics of the test split over the seeds; an interval may pass the end of a metric's range"
        rows = [
            [
                spoken(name, study.nouns[1]),
                figure(row["mean"]),
                figure(row["standard_deviation"]),
                interval(row["low"], row["high"], figure),
            ]
            for name, row in study.metrics.items()
        ]
        blocks.append(Table(caption, ["metric", "mean", "standard deviation", "95 % interval of the mean"], rows))
    return blocks


def _table(study: StudyResult) -> Table:
    write, metric = _write(study), spoken(study.headline.metric).lower()
    rows = [_row(run, value, write) for run, value in zip(study.runs, study.values, strict=True)]
    if study.interval:
        rows.append(["mean", write(study.mean), f"{interval(*study.interval, write)} (over the seeds)", "", ""])
    caption = f"Each run with the interval of its test {study.nouns[1]}; the seed leads to the report of the run"
    return Table(caption, ["seed", f"test {metric}", "95 % interval", f"test {study.nouns[1]}", "kept"], rows)


def _row(run: SeedRun, value: float, write: Callable[[float], str]) -> list[object]:
    link = Link(f"seed {run.seed}", f"{run.folder}/report.html")
    ends = interval(*(run.interval or (None, None)), write)
    return [link, write(value), ends, figure(int(run.test["num_examples"])), spoken_phase(run.kept)]


def dot_plot(study: StudyResult) -> Chart:
    """Return the chart of the main metric of each run with its interval, and of the mean with its band."""
    values, places = study.values, range(len(study.runs))
    left, right = -0.5, len(values) - 0.5
    means = [Series("mean over the seeds", [left, right], [study.mean] * 2, "second")]
    if study.interval:
        low, high = study.interval
        means.insert(0, Series("", [left, right, right, left], [low, low, high, high], "band"))
    whiskers = [
        Series("", [place, place], run.interval) for place, run in zip(places, study.runs, strict=True) if run.interval
    ]
    name, band = study.headline.noun, f", its band is {interval(*study.interval, figure)}" if study.interval else ""
    chart = draw(
        [*means, *whiskers, Series("one run", list(places), values, sizes=[5.0] * len(values))],
        alt=f"Test {name} of {count(len(values), 'run')}: {figure(min(values))} to {figure(max(values))}; the mean is "
        f"{figure(study.mean)}{band}.",
        caption=f"Test {name}. A dot is a run, its line is the 95 % interval of its test {study.nouns[1]}. The dashed "
        "line is the mean, and its band is the 95 % interval over the seeds.",
        x_label="seed",
        y_label=f"test {name}",
        x_range=(left, right),
    )
    return dataclasses.replace(chart, x_ticks=_seed_ticks(chart, [run.seed for run in study.runs]))


def _seed_ticks(chart: Chart, seeds: Sequence[int]) -> list[tuple[float, str]]:
    ticks = [(x, str(seed)) for (_, x, _, _), seed in zip(chart.dots, seeds, strict=True)]
    return ticks[:: 1 + (len(ticks) - 1) // MOST_NAMES]


def _again(study: StudyResult) -> list[Block]:
    path = str(study.workdir)
    data = ", data=data" if study.config.data.source == PYTHON_DATA else ""
    code = (
        "import json, tfl; "
        f"tfl.run_study(tfl.TransferConfig.from_dict(json.load(open({path + '/' + STUDY_JSON!r}))['config']), "
        f"{path + '-again'!r}, seeds={list(study.seeds)}{data})"
    )
    text = f"The command takes the options from {STUDY_JSON}, and writes the result to a new folder."
    return [Text(text), Code(python_command(code))]
