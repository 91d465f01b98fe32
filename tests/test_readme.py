"""Every command and every Python example of the README and the docs is run, on real photos."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import warm

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Run by `make` itself, or longer than a test may be: their flags are checked instead.
ELSEWHERE = re.compile(r"make |KERAS_HOME=COPY python benchmarks/")


def blocks(page, language):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [text for name, text in fences if name == language]


def commands(page):
    return [line for block in blocks(page, "") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def home(shared, keras_home, tmp_path_factory):
    """A folder like a checkout, with a few photos in it."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("scripts", "configs", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("ants", "bees"):
        (folder / "photos" / name).mkdir(parents=True)
        for path in sorted((shared / "data" / "hymenoptera" / "train" / name).iterdir())[:14]:
            (folder / "photos" / name / path.name).symlink_to(path)
    return folder


def run(command, home, **environment):
    result = warm.run(command, {**os.environ, **environment}, home)
    assert result.returncode == 0, result.stderr
    return result


def test_commands_of_the_readme_run_in_their_order(home):
    ran = {}
    for line in commands(ROOT / "README.md"):
        if not ELSEWHERE.match(line):
            words = shlex.split(line.replace(".venv/bin/tfl", ".venv/bin/python -m tfl"))
            assert words.pop(0) == ".venv/bin/python"
            ran[" ".join(words[:3] if words[0] == "-m" else words[:1])] = run(words, home)
    commands_of_tfl = ["-m tfl train", "-m tfl evaluate", "-m tfl predict"]
    assert list(ran) == [*commands_of_tfl, "scripts/train.py", "scripts/evaluate.py", "scripts/predict.py"]
    assert "this run is finished" in ran["scripts/train.py"].stderr  # it is the same run
    assert ran["-m tfl predict"].stdout == ran["scripts/predict.py"].stdout
    assert {"model.keras", "metrics.json", "predictions.csv"} <= {p.name for p in (home / "runs/photos").iterdir()}


@pytest.mark.parametrize("number", range(len(blocks(ROOT / "README.md", "python"))))
def test_python_examples_of_the_readme_run(home, number):
    code = blocks(ROOT / "README.md", "python")[number]
    run(["-c", code], home)


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_docs_are_known_here_and_their_flags_exist(page, home):
    for line in commands(page):
        words = [word for word in shlex.split(line.replace(".venv/bin/python", "python")) if "=" not in word[:12]]
        if line.startswith("make "):
            continue
        assert words[0] == "python", line
        result = subprocess.run(
            [sys.executable, words[1], "--help"], cwd=home, capture_output=True, text=True, check=False
        )
        for flag in re.findall(r"--([a-z_]+)", line):
            assert f"--{flag}" in result.stdout, f"{page.name}: {flag}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_scripts_configs_and_docs_are_all_mentioned():
    text = (ROOT / "README.md").read_text()
    for folder in ("scripts", "configs"):
        for path in (ROOT / folder).glob("*.py"):
            assert f"{folder}/{path.name}" in text
    for path in (ROOT / "docs").rglob("*.md"):
        assert str(path.relative_to(ROOT)) in text
