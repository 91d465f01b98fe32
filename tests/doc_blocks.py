"""The blocks of code in README and docs: every block is run by a test, or a comment above it says why not.

<!-- not run: it needs a GPU -->         the test of the docs skips the next block, but checks the flags of commands
<!-- run by: tests/test_extending.py -->    another test runs the next block
<!-- prints -->                             the next block is what the block above it prints
"""

import dataclasses
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXTENDING = ROOT / "docs" / "how-to" / "extending.md"
COMMANDS, SHOWN = (
    ("sh", "bash"),
    ("text", "json", "yaml", "csv", "pycon"),
)  # languages: what is typed, what is only shown
FENCE = re.compile(r"(?:^<!-- ([^\n]*) -->\n+)?^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    """One block of a page."""

    marker: str  # the comment above it, "" if there is none
    language: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether the test of the docs runs it."""
        return not self.marker and self.language in (*COMMANDS, "python")

    @property
    def lines(self) -> list[str]:
        """The commands of a block of commands; a backslash continues a line."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks_of(page: Path) -> list[Block]:
    """Return all blocks of a page in their order."""
    return [Block(*found) for found in FENCE.findall(page.read_text("utf-8"))]


def words_of(line: str) -> list[str]:
    """Return the words of a command, without what sets variables before it and without the comment after it."""
    words = shlex.split(line, comments=True)
    return words[next((n for n, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), 0) :]


def code_under(heading: str) -> list[str]:
    """Return the Python below a heading of docs/how-to/extending.md, so that what readers copy is what tests run."""
    pattern = rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)"
    (section,) = re.findall(pattern, EXTENDING.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [text for _, language, text in FENCE.findall(section) if language == "python"]


ONLY_IF_ASKED = {
    "tracking.json",
    "decisions.csv",
    "groups.csv",
    "statistics.npz",
    "examples.csv",
    "pretraining.json",
}  # files of a run with certain options


def files_of_a_run() -> set[str]:
    """Return the names in the table of docs/reference/workdir.md that a plain run has; those of folders end with /."""
    page = ROOT / "docs" / "reference" / "workdir.md"
    return set(re.findall(r"^\| `([^`]+)` \|", page.read_text("utf-8"), re.MULTILINE)) - ONLY_IF_ASKED


def names_in(folder: Path) -> set[str]:
    """Return the names in a folder in the same form."""
    return {f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir()}


def import_code(code: str, folder: Path, name: str) -> ModuleType:
    """Write code to a file, where `inspect` finds its source, and import it."""
    file = folder / f"{name}.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_of(code: str) -> int:
    """Return the number of lines that are not blank."""
    return sum(bool(line.strip()) for line in code.splitlines())
