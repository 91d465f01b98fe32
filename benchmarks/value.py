"""The figures of docs/benchmarks/value.md: what ImageNet weights were worth on two small sets of photos.

    KERAS_HOME=COPY python benchmarks/value.py --data=../shared/data --work=WORK --write=docs

COPY is a copy of ../shared/weights/keras_home. What is measured is kept in the folder WORK, so that the benchmark goes
on where it was stopped, and then in benchmarks/value.json. Without `--work` nothing is measured: the tables and the
picture are made again from that file.
"""

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

import tfl
from tfl.config.ways import WAYS
from tfl.selection.value import SPOKEN, Summary, summarize
from tfl.selection.worth import describe_times

SETS = {"hymenoptera": "Ants and bees", "dogs_cats_small": "Cats and dogs"}
OPTIONS = {
    "backbone.name": "MobileNet",
    "backbone.alpha": 0.25,
    "data.image_size": 112,
    "scratch.epochs": 20,
    "finetune.epochs": 8,
}
SIZES = (1, 5, 20, 70)
COLOURS = {"scratch": "#7f7f7f", "frozen": "#1f77b4", "finetuned": "#d62728"}

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_WORK = flags.DEFINE_string("work", "", "Folder of what is measured; empty: nothing is measured.")
_FIGURES = flags.DEFINE_string("figures", "benchmarks/value.json", "Where the figures are collected.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of seeds.")
_ONLY = flags.DEFINE_list("only", list(SETS), "Data sets.")
_WRITE = flags.DEFINE_string("write", "", "The folder docs, whose page and picture are written again.")


def main(argv: list[str]) -> None:
    del argv
    file = Path(_FIGURES.value)
    for name in _ONLY.value if _WORK.value else []:
        config = tfl.load_recipe("folder", f"{_DATA.value}/{name}", OPTIONS)
        folder = Path(_WORK.value) / name
        tfl.measure_value(config, folder, sizes=SIZES, seeds=_SEEDS.value)
        figures = json.loads(file.read_text()) if file.exists() else {}
        figures[name] = cells_of(folder)
        file.write_text(json.dumps(figures, indent=0) + "\n")
    figures = json.loads(file.read_text())
    summaries = {name: summary_of(figures[name]) for name in SETS if name in figures}
    text = "\n\n".join(describe(name, summary, figures[name]) for name, summary in summaries.items())
    print(text)
    if _WRITE.value:
        write(Path(_WRITE.value) / "benchmarks" / "value.md", text)
        draw(summaries, Path(_WRITE.value) / "images" / "value.png")


def cells_of(folder: Path) -> list[dict[str, Any]]:
    """Return the cells of a measurement, without their times."""
    cells = [json.loads(file.read_text()) for file in sorted((folder / "cells").glob("*.json"))]
    return [{key: value for key, value in cell.items() if key != "seconds"} for cell in cells]


def summary_of(cells: list[dict[str, Any]]) -> Summary:
    """Return the answer of some cells."""
    by_key = {(cell["way"], cell["size"], cell["seed"]): cell for cell in cells}
    sizes, seeds = (sorted({cell[key] for cell in cells}) for key in ("size", "seed"))
    hits = {
        way: np.array(
            [[[bit == "1" for bit in by_key[way, size, seed]["correct"]] for seed in seeds] for size in sizes]
        )
        for way in WAYS
    }
    labels = [np.mean([by_key["frozen", size, seed]["num_labels"] for seed in seeds]) / 2 for size in sizes]
    summary = summarize(hits, sizes, [float(count) for count in labels])
    kept = [cell["cka"] for cell in cells if "cka" in cell]
    return Summary(
        summary.points,
        summary.worth,
        summary.outlooks,
        summary.sentences,
        {stage: float(np.mean([one[stage] for one in kept])) for stage in kept[0]},
    )


def describe(name: str, summary: Summary, cells: list[dict[str, Any]]) -> str:
    """Return the tables and sentences of a data set, as in the page."""
    seeds, tests = len({cell["seed"] for cell in cells}), len(cells[0]["correct"])
    labels = sorted({point.labels for point in summary.points})
    lines = [
        f"**{SETS[name]}**, {tests} test photos, {seeds} seeds:",
        "",
        "| labels a class | from scratch | frozen | fine-tuned | worth of frozen | worth of fine-tuned |",
        "|---|---|---|---|---|---|",
    ]
    for count in labels:
        cells_ = [
            f"{point.accuracy:.3f} ({point.low:.3f} to {point.high:.3f})"
            for point in summary.points
            if point.labels == count
        ]
        for worth in (one for one in summary.worth if one.labels == count):
            times, low, high = (describe_times(end, count, labels) for end in (worth.times, worth.low, worth.high))
            cells_.append(times if low == high == times else f"{times} ({low} to {high})")
        lines.append(f"| {count:.4g} | {' | '.join(cells_)} |")
    kept = ", ".join(f"{stage} {value:.3f}" for stage, value in summary.kept.items())
    lines += ["", *(f"- {sentence}" for sentence in summary.sentences)]
    for outlook in summary.outlooks:
        if (test := outlook.backtest) is not None:
            lines.append(
                f"- Backtest of {SPOKEN[outlook.way]}: from fewer labels {test.accuracy:.3f} ({test.low:.3f} to "
                f"{test.high:.3f}) is expected with all; measured is {outlook.measured:.3f}."
            )
    return "\n".join([*lines, f"- Linear CKA of each stage before and after fine-tuning with all labels: {kept}."])


def write(page: Path, text: str) -> None:
    """Write the tables between the markers of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- value -->\n")
    _, _, after = rest.partition("<!-- /value -->")
    page.write_text(f"{before}<!-- value -->\n{text}\n<!-- /value -->{after}", encoding="utf-8")


def draw(summaries: dict[str, Summary], file: Path) -> None:
    """Draw accuracy over labels, one panel for each data set."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(summaries), figsize=(9, 3.6), sharey=True, squeeze=False)
    for panel, (name, summary) in zip(panels[0], summaries.items(), strict=True):
        for way in WAYS:
            own = [point for point in summary.points if point.way == way]
            labels = [point.labels for point in own]
            panel.plot(labels, [point.accuracy for point in own], "o-", color=COLOURS[way], label=SPOKEN[way])
            panel.fill_between(
                labels, [point.low for point in own], [point.high for point in own], color=COLOURS[way], alpha=0.15
            )
        panel.axhline(0.5, color="black", linewidth=0.7, linestyle=":")
        panel.set(xscale="log", xlabel="labels a class", title=SETS[name])
        ticks = [point.labels for point in summary.points if point.way == "frozen"]
        panel.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
        panel.minorticks_off()
    panels[0][0].set_ylabel("test accuracy")
    panels[0][0].legend(loc="upper left", frameon=False)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    app.run(main)
