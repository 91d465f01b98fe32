"""Write the pages of docs/reference from the code: `python .ci/reference.py`, or `make reference`.

Nothing here imports TensorFlow: options come from the config, flags from `--help`, and public names from the source.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import public_names

from tfl.commands import COMMANDS
from tfl.config.listing import options_page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
FLAG = re.compile(r"^  --(?:\[no\])?(\w+): (.*?)(?=^  --|\Z)", re.MULTILINE | re.DOTALL)
DEFAULT = re.compile(r"\s*\(default: (.*)\)", re.DOTALL)
TYPE = re.compile(r"\s*\((?:an integer|a number|a comma separated list)\)$")

# Every file that a run and the commands on a finished run may write: name, what writes it, content.
WORKDIR = (
    ("config.json", "run, at its start", "every option of the run; the workdir belongs to this config"),
    (
        "splits.csv",
        "run, at its start",
        "one row per example: id, label, split, SHA-256 of the file, size; group and weight, if there are some",
    ),
    ("quarantine.csv", "run, at its start", "the files that could not be used, each with the reason"),
    (
        "audit.csv",
        "run, after phase 1",
        "the short audit: near duplicates, leaks, suspicious labels, one row a finding",
    ),
    (
        "decisions.csv",
        "run with `data.decisions`",
        "what decisions excluded or relabelled, before and after",
    ),
    ("groups.csv", "run with `data.groups`", "the group of every example that has one"),
    ("history.csv", "fine-tuning", "one row per epoch: losses, metrics, skipped steps"),
    ("tracking.json", "run, with a tracker", "which run of the tracker belongs to this run"),
    (
        "tensorboard/",
        "fine-tuning",
        "the same curves and each step for TensorBoard: `tensorboard --logdir runs/photos`",
    ),
    ("checkpoints/", "run", "the solved head (`probe.keras`) and the state of fine-tuning, to resume a stopped run"),
    (
        "statistics.npz",
        "run with `probe.solver=ridge`",
        "the sums from which the head was solved; `tfl update` changes them",
    ),
    ("examples.csv", "`tfl update`", "every example of the updated run, with its split; it is the source of the run"),
    ("model.keras", "run, at its end", "the kept model, from images in [0, 255] to logits; plain Keras loads it"),
    ("predictions.csv", "run, at its end", "every test example: label, predicted class, one probability per class"),
    ("validation_predictions.csv", "run, at its end", "the same for the validation examples"),
    ("evaluation.json", "run, at its end", "all results: intervals, classes, confusion matrix, calibration, slices"),
    ("metrics.json", "run, at its end", "the main results in short; it is written last, so it marks a finished run"),
    ("report.html", "run, at its end; `tfl report`", "one page that says whether you can trust the model"),
    ("MODEL_CARD.md", "run, at its end; `tfl report`", "the model card, to be completed by people"),
    ("export/", "`tfl export`", "the exported files, and `certificate.json`, which compares each with `model.keras`"),
    ("pretrain/", "run with `pretrain.source`", "the workdir of the pre-training"),
    (
        "pretraining.json",
        "`tfl pretrain` without labels",
        "how the backbone in `model.keras` was pre-trained; such a run has no classifier",
    ),
    ("scratch/", "run with `scratch.epochs`", "the workdir of the training from scratch"),
    (".lock", "run", "locks the workdir, so that only one run at a time uses it"),
)


def main() -> None:
    """Write every page that differs."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the text of every page of docs/reference by its file name."""
    return {
        "options.md": options_page(),
        "commands.md": commands_page(),
        "workdir.md": workdir_page(),
        "python.md": public_names.page(),
    }


def commands_page() -> str:
    """Return the page of all commands with their flags."""
    lines = [
        "# Commands",
        "",
        "Written by `make reference` from the help of each command. `tfl COMMAND --help` prints the same. The scripts "
        "in `scripts/` take the same flags.",
        "",
        "Exit codes: 0, done; 1, `tfl predict` had no answer for some files, or a bug, which has a traceback; 2, a "
        "mistake in the command or in the data, told in one line; 75, another worker was lost; 130 and 143, stopped by "
        "Ctrl-C or SIGTERM, and the same command continues.",
        "",
        "| command | does |",
        "|---|---|",
        *(f"| [`tfl {name}`](#tfl-{name}) | {text} |" for name, text in COMMANDS.items()),
    ]
    for name in COMMANDS:
        lines += ["", f"## tfl {name}", "", *_command(name)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _command(name: str) -> Iterator[str]:
    """Yield the lines about one command."""
    command = [sys.executable, "-m", "tfl", name, "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    head, _, tail = text.partition("\nflags:\n")
    for paragraph in head.split("\n\n"):
        is_usage = paragraph.startswith("tfl ")
        yield from ["", "```text", paragraph.strip(), "```"] if is_usage else ["", _one_line(paragraph)]
    flags = FLAG.findall(tail.partition("\nTry --helpfull")[0])
    if flags:
        yield from ["", "| flag | default | meaning |", "|---|---|---|"]
    for flag, text in flags:
        rest = TYPE.sub("", text.strip())
        default = DEFAULT.search(rest)
        shown = _one_line(default[1]).strip("'") if default else ""
        meaning = _one_line(DEFAULT.sub("", rest))
        yield f"| `--{flag}` | {f'`{shown}`' if shown not in ('', 'None') else ''} | {_escape(meaning)} |"
    if "Options of --config" in text:
        yield from ["", "All other options are set as in `--config.head.dropout=0.2`: [options.md](options.md)."]


def workdir_page() -> str:
    """Return the page of the files of a run."""
    lines = [
        "# Files of a workdir",
        "",
        "The workdir is the folder of one run, for example `runs/photos`. The same command continues an unfinished run "
        "in it. A test makes a run and checks that this table is complete. Written by `make reference`.",
        "",
        "| file | written by | content |",
        "|---|---|---|",
        *(f"| `{name}` | {when} | {content} |" for name, when, content in WORKDIR),
        "",
        "The folder of a study (`tfl train --seeds`) has one workdir per seed (`seed_0`, ...), and `study.json`, "
        "`study.csv` and `study.html` with the results over the seeds.",
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escape(text: str) -> str:
    """Return text for a cell of a table: no bar, and no star or angle bracket that Markdown would read."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


if __name__ == "__main__":
    main()
