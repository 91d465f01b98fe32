"""The page of a study says what its runs say, and what the interval over seeds does not say."""

import dataclasses
import html
import json
import re
import shlex

import pytest
from etils import epath
from test_page import Document, check_accessible, check_self_contained

from tfl.config import DataConfig, TaskConfig, TransferConfig
from tfl.report.charts import BOTTOM, HEIGHT, TOP
from tfl.report.study_page import dot_plot, render_study
from tfl.runs.study import SeedRun, StudyResult
from tfl.runs.study_words import cautions, describe_examples

SAME = {"train": "a", "validation": "b", "test": "c"}
VALUES = (0.5, 0.75, 0.625)


def study_of(values=VALUES, *, task="multiclass", metric="accuracy", asked=(), splits=()):
    runs = tuple(
        SeedRun(
            seed,
            "finetune" if seed else "probe",
            {"loss": 0.5, "num_examples": 40, metric: value},
            (value - 0.1, value + 0.2),
            splits[seed] if splits else SAME,
        )
        for seed, value in enumerate(values)
    )
    config = TransferConfig(data=DataConfig(source="digits"), task=TaskConfig(name=task))
    return StudyResult(epath.Path("runs/study"), config, tuple(asked) or tuple(range(len(values))), runs)


def document_of(study):
    files = [f"{run.folder}/report.html" for run in study.runs]
    text = render_study(study)
    document = Document(text)
    assert not document.open
    check_accessible(document, files)
    check_self_contained(text, document, files)
    assert {link["href"] for link in document.all("a")} >= set(files)
    assert "None" not in document.words() and "nan" not in document.words().split()
    return document


@pytest.mark.parametrize(
    "study",
    [
        study_of(),
        study_of((0.5,), asked=(0, 1)),
        study_of((0.5, 0.9)),
        study_of((0.5,) * 60),
        study_of((3.5, 4.0, 900.0), task="regression", metric="mean_absolute_error"),
        study_of(task="multilabel"),
    ],
    ids=["three", "one of two", "two", "sixty equal ones", "values", "labels"],
)
def test_every_study_has_a_whole_accessible_page(study):
    document = document_of(study)
    assert [section["id"] for section in document.all("section")] == ["good", "seeds", "again"]


def test_the_numbers_are_those_of_the_runs():
    words = document_of(study_of()).words().replace("\xa0", " ")
    half = 4.302653 * 0.125 / 3**0.5  # Student's t of two degrees of freedom
    interval = f"{100 * (0.625 - half):.1f} % to {100 * (0.625 + half):.1f} %"
    assert "Accuracy on test images: 62.5 %, the mean of 3 runs The 95 % interval of the mean" in words
    assert f"over the seeds is {interval}." in words
    assert "seed 1 75.0 % 65.0 % to 95.0 % 40 fine-tuned" in words
    assert f"mean 62.5 % {interval} (over the seeds)" in words
    assert "fine-tuned in 2 of 3, frozen in 1 of 3 runs" in words
    assert "Lowest and highest 50.0 % to 75.0 %" in words


def test_dots_lines_and_band_stand_at_their_values():
    study = study_of()
    chart = dot_plot(study)
    first, second, _ = [y for _, _, y, _ in chart.dots]

    def height(value):
        return pytest.approx(first + (value - 0.5) * (second - first) / 0.25, abs=0.2)

    lines = [(style, [tuple(map(float, p.split(","))) for p in points.split()]) for style, points in chart.lines]
    (band,) = [points for style, points in lines if style == "band"]
    low, high = study.interval
    assert [y for _, y in band] == [height(low), height(low), height(high), height(high)]
    (mean,) = [points for style, points in lines if style == "second"]
    assert [y for _, y in mean] == [height(0.625)] * 2
    whiskers = [points for style, points in lines if style == "first"]
    for (_, x, _, _), value, ends in zip(chart.dots, VALUES, whiskers, strict=True):
        assert ends == [(x, height(value - 0.1)), (x, height(value + 0.2))]
    assert [(x, text) for (_, x, _, _), text in zip(chart.dots, "012", strict=True)] == chart.x_ticks
    assert all(TOP <= y <= HEIGHT - BOTTOM for _, points in lines for _, y in points)


def test_many_seeds_are_not_all_named_below_the_chart():
    texts = [text for _, text in dot_plot(study_of((0.5, 0.6) * 30)).x_ticks]
    assert texts[:2] == ["0", "4"] and len(texts) == 15


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ((), ("All seeds have the same 40 test images, and the same for training", "random choices of training alone")),
        (("train", "validation"), ("All seeds have the same 40 test images; each divided the rest", "not about the")),
        (("train", "validation", "test"), ("The test images differ between the seeds", "interval is too narrow")),
        (None, ("It is not known whether the runs have the same test images", "about its test images")),
    ],
)
def test_the_meaning_of_the_interval_follows_from_the_images(changed, expected):
    other = {} if changed is None else {**SAME, **dict.fromkeys(changed, "other")}
    sentences = describe_examples(study_of(splits=(SAME, other, SAME)))
    for sentence, part in zip(sentences, expected, strict=True):
        assert part in sentence


def warned(study):
    return [sentence for _, sentence in cautions(study, lambda value: f"{value:.2f}")]


def test_reasons_for_care_are_named():
    wide, few, best = warned(study_of((0.5, 0.9)))
    assert wide.startswith("The interval -1.8412 to 3.2412 has values that no accuracy can have: 2 seeds say little")
    assert "With 2 seeds, the interval reaches 9.0 standard deviations to each side" in few
    assert "not the best of the 2 runs" in best
    assert len(warned(study_of((0.8, 0.81, 0.82, 0.8, 0.81)))) == 1
    equal, _ = warned(study_of((0.5,) * 5))
    assert equal == "All runs have the same accuracy, 0.50. So their interval has no width."
    unfinished, alone = warned(study_of((0.5,), asked=(0, 1, 2)))
    assert unfinished == "1 of 3 runs are finished (missing: 1, 2). The same command continues."
    assert alone == "One run has no interval over seeds."
    below = warned(study_of((1.0, 3.0), task="regression", metric="mean_absolute_error"))[0]
    assert "that no mean absolute error can have" in below


def test_the_command_makes_the_study_again(tmp_path):
    study = dataclasses.replace(study_of(), workdir=epath.Path(tmp_path))
    (tmp_path / "study.json").write_text(json.dumps(study.to_dict()))
    code = re.search(r"<code>(python -c .*?)</code>", render_study(study), re.DOTALL)
    words, called = shlex.split(html.unescape(code[1])), []
    statement = words[2].replace("tfl.run_study(", "called.append((").replace("seeds=", "")[:-1] + "))"
    exec(statement, {"called": called})
    assert called == [(study.config, f"{tmp_path}-again", [0, 1, 2])]
