"""No room asks a task its name: what differs from task to task is declared in `tfl/tasks/`."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"multiclass", "binary", "multilabel", "regression", "segmentation", "detection"}
CLASSES = {"Multiclass", "Binary", "Multilabel", "Regression", "Segmentation", "Detection"}


def strings_in(node):
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def asks(source):
    """Return the lines of a text that choose by the name or the class of a task."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        compared = isinstance(node, ast.Compare) and strings_in(node) & NAMES
        looked_up = isinstance(node, ast.Dict) and {s for key in node.keys if key for s in strings_in(key)} & NAMES
        matched = isinstance(node, ast.MatchValue) and strings_in(node) & NAMES
        typed = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
            and {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)} & CLASSES
        )
        if compared or looked_up or matched or typed:
            lines.append(node.lineno if hasattr(node, "lineno") else 0)
    return lines


@pytest.mark.parametrize(
    "planted",
    [
        'if target == "regression": pass',
        'x = 1 if "binary" != kind else 2',
        'if target in ("multiclass", "binary"): pass',
        'kind = {"multilabel": "labels"}.get(target, "classes")',
        'match target:\n    case "regression":\n        pass',
        "if isinstance(task, Regression): pass",
        "if isinstance(task, (Binary, Multiclass)): pass",
    ],
)
def test_a_planted_question_is_found(planted):
    assert len(asks(planted)) == 1
    assert asks('def make(target="multiclass"):\n    return get_task(target)\n') == []


def test_no_room_asks_a_task_its_name():
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in sorted((ROOT / "tfl").rglob("*.py"))
        if "tasks" not in path.relative_to(ROOT / "tfl").parts[:1] and (lines := asks(path.read_text()))
    }
    assert found == {}


def test_no_page_asks_a_task_its_name():
    pages = [path for path in (ROOT / "tfl").rglob("templates/*") if path.is_file()]
    quoted = re.compile("|".join(f"['\"]{name}['\"]" for name in NAMES))
    assert len(pages) > 3
    assert [path.name for path in pages if quoted.search(path.read_text())] == []
