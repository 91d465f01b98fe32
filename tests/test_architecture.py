"""The house: imports only go down, files stay short, the library neither prints nor asserts."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    0: [
        *("config", "rules", "unused", "registry", "errors", "progress", "keras_settings"),
        *("workdir", "cache", "writing", "files", "schemas", "spreadsheets", "locks", "cluster"),
    ],
    1: ["backbones", "data"],
    2: ["models"],
    3: ["features", "training", "evaluation", "explain", "export"],
    4: [
        *("phases", "solving", "finetuning", "transfer", "trained", "recorded", "extraction", "launching"),
        *("comparing", "exporting", "report", "serving", "inner_runs"),
    ],
    5: ["cli"],
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
SOURCES = sorted((ROOT / "tfl").rglob("*.py"))
LIBRARY = [path for path in SOURCES if path != ROOT / "tfl" / "__init__.py"]


def room_of(path):
    return path.relative_to(ROOT / "tfl").parts[0].removesuffix(".py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "tfl":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfl."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("tfl."))


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_imports_only_go_down(path):
    room = room_of(path)
    for imported in imported_rooms(path):
        below = FLOOR_OF[imported] < FLOOR_OF[room]
        assert below or imported == room or FLOOR_OF[room] in (0, 4), f"{room} imports {imported}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_stay_short_and_quiet(path):
    text = path.read_text()
    assert text.count("\n") <= 350
    assert path.stem not in ("utils", "helpers", "misc", "common")
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: assert for a user's error"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}: print in the library"


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.py")), ids=name_of)
def test_scripts_are_thin(path):
    assert path.read_text().count("\n") <= 60


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.py")), ids=name_of)
def test_configs_import_only_the_options(path):
    tree = ast.parse(path.read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(modules) == {"tfl.config"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert path.read_text().count("\n") <= 60
    docstring = ast.get_docstring(tree) or ""
    for word in ("python scripts/train.py --config=", "Expected", "Hardware", "Minutes"):
        assert word.lower() in docstring.lower()


def test_import_touches_no_tensorflow():
    code = "import sys, tfl; print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras', 'numpy')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented():
    import tfl

    for name in tfl.__all__:
        assert getattr(tfl, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'transfr'"):
        tfl.transfr  # noqa: B018


def test_the_function_is_not_shadowed_by_its_module():
    code = "from tfl.transfer import TransferResult; import tfl; print(callable(tfl.transfer), tfl.transfer.__name__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["True", "transfer"]
