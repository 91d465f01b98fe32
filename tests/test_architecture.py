"""The house: imports only go down, files stay short, the library neither prints nor asserts."""

import ast
import collections
import graphlib
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = [  # from the ground up: a file imports from rooms that stand before its own, and from its own room
    *("version", "environment", "errors", "extras", "registry", "progress"),
    *("notebook", "cluster", "keras_settings", "config"),
    *("files", "recipes", "train_command", "workdir", "cli", "tracking"),
    *("distribution", "checkpoints"),
    *("inputs", "backbones", "data", "tasks", "models"),
    *("features", "training.objective", "training.update", "training.contract", "training.loop", "training"),
    *("evaluation", "explain", "export"),
    *("checks", "build"),
    *("runs", "audit", "selection", "report", "serving"),
    *("recipe", "estimators", "__init__"),
    *("completion", "commands", "__main__"),
]
SOURCES = sorted((ROOT / "tfl").rglob("*.py"))


def name_of(path):
    return str(path.relative_to(ROOT))


def module_of(path):
    """Return the dotted name of a file below `tfl`; that of a folder for its `__init__.py`."""
    parts = path.relative_to(ROOT / "tfl").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_of(path): path for path in SOURCES}


def room_of(module):
    return max((room for room in ROOMS if module == room or module.startswith(room + ".")), key=len)


def imported_modules(source):
    """Yield the modules of tfl that a text imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tfl":
            for alias in node.names:
                name = f"{node.module}.{alias.name}".removeprefix("tfl.")
                yield name if name in MODULES else name.rpartition(".")[0] or "__init__"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "tfl":
                    yield alias.name.removeprefix("tfl.") if "." in alias.name else "__init__"


def imports_upwards(module, source):
    """Return what a module imports from rooms that stand above its own."""
    own = ROOMS.index(room_of(module))
    return [name for name in imported_modules(source) if ROOMS.index(room_of(name)) > own]


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_go_down(module):
    assert imports_upwards(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import tfl",
        "from tfl import transfer",
        "import tfl.recipe.transfer",
        "from tfl.runs.compare import compare_runs",
    ],
)
def test_an_import_upwards_is_seen(line):
    assert imports_upwards("data.pipeline", f"def load():\n    {line}\n")
    assert not imports_upwards("data.pipeline", "from tfl.errors import InputError\nfrom tfl import progress\n")


def test_no_file_imports_itself_by_way_of_others():
    graph = {module: set(imported_modules(path.read_text())) - {module} for module, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the names of the circle


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_stay_short_and_quiet(path):
    text = path.read_text()
    assert text.count("\n") <= 350
    assert path.stem not in ("utils", "helpers", "misc", "common")
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: assert for a user's error"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}: print in the library"


def body_lines(function):
    """Return how many lines a function has without its docstring."""
    has_docstring = ast.get_docstring(function) is not None and len(function.body) > 1
    return function.end_lineno - function.body[has_docstring].lineno + 1


def test_functions_fit_a_screen_and_most_files_are_short():
    functions = [
        (f"{name_of(path)}: {node.name}", body_lines(node))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert [name for name, lines in functions if lines > 50] == []
    assert statistics.median(lines for _, lines in functions) <= 6
    assert statistics.median(path.read_text().count("\n") for path in SOURCES) <= 130


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
    """A name of the public face must not be that of a room or file beside it."""
    import tfl

    assert not set(tfl.__all__) & {module.partition(".")[0] for module in MODULES}


def test_test_files_have_different_names():
    """pytest imports them by their names alone, unless they are in packages."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert [name for name, count in collections.Counter(names).items() if count > 1] == []
