"""docs/faq.md: each question has a source, and each command, flag, option, name and page in it exists."""

import re
from pathlib import Path

import pytest

import tfl
from tfl.config.listing import list_options
from tfl.config.short import SHORT_NAMES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "faq.md"
TEXT = PAGE.read_text("utf-8")
ENTRIES = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
CODE = "\n".join(re.findall(r"`([^`]+)`", TEXT))
OPTIONS = {option.path for option in list_options()}
COMMANDS = {path.stem for path in (ROOT / "tfl" / "commands").glob("*.py")} - {"__init__", "places", "recipes"}


def flags_of(command):
    """Return the flags that the module of a command defines; `train` and `features` also take the short options."""
    defined = re.findall(r'DEFINE_\w+\(\s*"(\w+)"', (ROOT / "tfl" / "commands" / f"{command}.py").read_text("utf-8"))
    return {*defined, *(SHORT_NAMES if command in ("train", "features") else ())}


def test_there_are_forty_questions_and_each_one_is_a_question():
    assert len(ENTRIES) >= 40
    assert not [question for question in ENTRIES if not question.endswith("?")]


@pytest.mark.parametrize("question", ENTRIES)
def test_each_question_is_answered_and_names_a_thread_that_asks_it(question):
    answer, _, source = ENTRIES[question].partition("*Asked in: ")
    assert re.search(r"\w #\d+", source), question
    assert "://" not in source
    assert 2 <= len(re.findall(r"\w\)?\*{0,2}[.:?](?=\s)", answer)) <= 7, question


def test_each_command_and_each_of_its_flags_exists():
    for line in re.findall(r"^tfl [a-z].*$", CODE, re.MULTILINE):
        command = line.split()[1]
        assert command in COMMANDS, line
        for flag in re.findall(r"--([a-z_]+)(?![\w.])", line.partition(" -- ")[0]):
            assert flag in flags_of(command), line


def test_each_flag_alone_is_one_of_a_command():
    known = set().union(*map(flags_of, COMMANDS))
    found = {flag for line in CODE.splitlines() if line.startswith("--") for flag in re.findall(r"--([a-z]\w+)", line)}
    assert found - {"config"} <= known


def test_each_option_exists():
    sections = {path.partition(".")[0] for path in OPTIONS if "." in path}
    alone = re.findall(rf"^(?:{'|'.join(sections)})\.[a-z_]+\w", CODE, re.MULTILINE)
    assert {*re.findall(r"--config\.([a-z_.]+\w)", CODE), *alone} - {"report.html"} <= OPTIONS


def test_each_name_of_tfl_exists():
    names = set(re.findall(r"\btfl\.(\w+)", CODE))
    assert len(names) > 5
    assert names <= set(tfl.__all__)


def test_each_link_leads_to_a_page():
    if not (ROOT / "docs" / "explanation").is_dir():
        pytest.skip("the docs have no docs/explanation yet")
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (PAGE.parent / target).exists(), target
