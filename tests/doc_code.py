"""The code of docs/how-to/extending.md: tests import it from the page, so that what readers copy is what runs."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "extending.md"


def code_under(heading: str) -> list[str]:
    """Return the blocks of Python below a heading of the page."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


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
