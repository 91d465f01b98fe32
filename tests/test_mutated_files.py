"""Seeded mutations of every file of a finished run, each followed by the commands that read it.

`python tests/test_mutated_files.py 300` runs as many and says what came of them.
"""

import collections
import difflib
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from finished_run import edit_archive, edit_metadata, write_finished_run

from tfl.errors import InputError
from tfl.export.publish import read_certificate
from tfl.report import write_report
from tfl.runs.compare import compare_runs
from tfl.runs.evaluate import evaluate_workdir

EVALUATED = ("config.json", "splits.csv", "validation_predictions.csv", "model.keras")
COMPARED = ("config.json", "splits.csv", "predictions.csv", "metrics.json")
FILES = (
    *("config.json", "metrics.json", "evaluation.json", "export/certificate.json", "splits.csv", "predictions.csv"),
    *("validation_predictions.csv", "history.csv", "quarantine.csv", "model.keras"),
)
VALUES = (0, -1, 7, 10**9, 0.5, 1e300, float("nan"), "", "text", None, True, [], {}, [1, 2])
CELLS = ("", "-1", "7", "nan", "inf", "text", "0", "1", '"', "\0", "a,b", "ä")


def flip_bits(content, rng):
    content = bytearray(content)
    for place in rng.integers(0, len(content), int(rng.integers(1, 9))):
        content[place] ^= 1 << int(rng.integers(8))
    return bytes(content)


def cut(content, rng):
    return content[: int(rng.integers(0, len(content)))]


def repeat(content, rng):
    start, end = sorted(rng.integers(0, len(content), 2).tolist())
    return content[:end] + content[start:]


def overwrite(content, rng):
    start, end = sorted(rng.integers(0, len(content), 2).tolist())
    return content[:start] + rng.bytes(min(40, end - start)) + content[min(end, start + 40) :]


def choose(rng, values):
    return values[int(rng.integers(len(values)))]


def edit_json(content, rng):
    """Change, remove or repeat one value at any depth."""
    values = json.loads(content)
    places = list(walk(values))
    parent, key = choose(rng, places)
    change = choose(rng, ("value", "value", "value", "remove", "repeat"))
    if change == "value":
        parent[key] = choose(rng, VALUES)
    elif change == "remove":
        del parent[key]
    elif isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[choose(rng, places)[1]] = parent[key]
    return json.dumps(values, indent=2).encode()


def walk(values):
    for key in list(values) if isinstance(values, dict) else range(len(values)):
        yield values, key
        if isinstance(values[key], (dict, list)):
            yield from walk(values[key])


def edit_csv(content, rng):
    """Change a cell, or remove, repeat or swap rows and columns."""
    rows = [line.split(",") for line in content.decode().splitlines()]
    row, column = int(rng.integers(len(rows))), int(rng.integers(len(rows[0])))
    change = choose(rng, ("cell", "cell", "cell", "row", "twice", "column", "column twice", "swap"))
    if change == "cell":
        rows[row][column] = choose(rng, CELLS)
    elif change in ("row", "twice"):
        rows[row : row + 1] = [rows[row]] * (2 if change == "twice" else 0)
    elif change == "swap":
        other = int(rng.integers(len(rows[0])))
        rows[0][column], rows[0][other] = rows[0][other], rows[0][column]
    else:
        for cells in rows:
            cells[column : column + 1] = cells[column : column + 1] * (2 if change == "column twice" else 0)
    return "\n".join(map(",".join, rows)).encode() + b"\n"


def edit_model(file, rng):
    """Change what a model file says of itself: in one place or in both, and any value of its config."""
    name = choose(rng, ("temperature", "image_size", "target", "class_names", "alpha", "backbone"))
    value = choose(rng, (*VALUES, "binary", "regression", "012", ["0", "1", "1"], ["2", "1", "0"], 32, ["0", "1"]))
    change = choose(rng, ("one", "both", "both", "config"))
    if change == "both":
        edit_metadata(file, **{name: value})
    elif change == "one":
        edit_archive(file, "tfl.json", lambda text: json.dumps(json.loads(text) | {name: value}))
    else:
        edit_archive(file, "config.json", lambda text: edit_json(text, rng))


def mutate(file, rng):
    """Change a file in some way; return how."""
    changes = {".json": [edit_json] * 6, ".csv": [edit_csv] * 6, ".keras": [edit_model] * 4}[file.suffix]
    change = choose(rng, [flip_bits, cut, repeat, overwrite, *changes])
    if change is edit_model:
        edit_model(file, rng)
    else:
        file.write_bytes(change(file.read_bytes(), rng))
    return change.__name__


def ask(run, other, name):
    """Return what the commands that read a file say."""
    write_report(run)
    said = {"page": (run / "report.html").read_text(), "card": (run / "MODEL_CARD.md").read_text()}
    if name in COMPARED:
        said["compare"] = compare_runs([str(run), str(other)])
    if name in EVALUATED:
        said["evaluate"] = evaluate_workdir(run)
    if name.startswith("export"):
        said["certificate"] = read_certificate(run / "export")
    return said


def find_impossible(said):
    """Return the numbers that are none: shares outside of 0 to 1, and NaN."""
    text = re.sub(r"<(style|script|svg)\b.*?</\1>", "", said["page"], flags=re.S)
    found = [share for share in re.findall(r"(-?[\d.]+) %", text) if not 0 <= float(share) <= 100]
    found += re.findall(r">\s*(?:nan|-?inf|None)\s*<", text)
    for name in ("compare", "evaluate"):
        for parent, key in walk(said.get(name, {})):
            value = parent[key]
            is_number = isinstance(value, float)
            if is_number and (not np.isfinite(value) or (str(key).endswith("accuracy") and not 0 <= value <= 1)):
                found.append(f"{name} {key}={value}")
    return found


def describe(before, after):
    """Say in which lines two texts differ."""
    lines = difflib.unified_diff(*(text.decode(errors="replace").splitlines() for text in (before, after)), n=0)
    return " ".join(line for line in list(lines)[2:] if line[0] in "+-")[:200]


class Judge:
    """A finished run whose files are changed one after another, and what its commands say before and after."""

    def __init__(self, folder):
        self.other = write_finished_run(folder / "other" / "run")
        self.run = Path(shutil.copytree(self.other, folder / "run"))
        self.before = {name: ask(self.run, self.other, name) for name in FILES}

    def judge(self, number):
        """Mutate a file, ask, restore it; return file, mutation, verdict and message."""
        rng, name = np.random.default_rng(number), FILES[number % len(FILES)]
        file = self.run / name
        whole = file.read_bytes()
        how = mutate(file, rng)
        verdict, message = "equal", ""
        try:
            if file.read_bytes() != whole:
                said = ask(self.run, self.other, name)
                message = ", ".join(map(str, find_impossible(said)))
                verdict = "impossible" if message else "equal" if said == self.before[name] else "harmless"
                message = message or describe(whole, file.read_bytes())
        except InputError as error:
            verdict, message = "refused", str(error)
            assert "\n" not in message and len(message) < 800, message
        finally:
            file.write_bytes(whole)
        return name, how, verdict, message


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return Judge(tmp_path_factory.mktemp("mutated"))


@pytest.mark.parametrize("numbers", [range(60), pytest.param(range(60, 300), marks=pytest.mark.slow)], ids=str)
def test_nothing_impossible_is_said_of_a_mutated_run(judge, numbers):
    """Any other error than `InputError` ends this test, with its traceback."""
    verdicts = collections.Counter()
    for number in numbers:
        name, how, verdict, message = judge.judge(number)
        verdicts[verdict] += 1
        assert verdict != "impossible", f"mutation {number}: {name}, {how}: {message}"
    assert verdicts["refused"] > len(numbers) / 2


def main(count):
    with tempfile.TemporaryDirectory() as folder:
        judge, verdicts = Judge(Path(folder)), collections.defaultdict(collections.Counter)
        for number in range(count):
            try:
                name, how, verdict, message = judge.judge(number)
            except Exception as error:
                name, how, verdict, message = FILES[number % len(FILES)], "", "TRACEBACK", repr(error)
            verdicts[name][verdict] += 1
            sys.stdout.write(f"{number} {name} {how} {verdict} {message}\n")
        for name, counts in verdicts.items():
            sys.stdout.write(f"{name}: {dict(counts)}\n")
        sys.stdout.write(f"all: {dict(sum(verdicts.values(), collections.Counter()))}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
