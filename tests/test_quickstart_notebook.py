"""The notebook docs/quickstart.ipynb runs from top to bottom, and its stored outputs are what it shows.

TFL_WRITE_NOTEBOOK=1 stores the outputs again.
"""

import os
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "quickstart.ipynb"
CHATTER = re.compile(r"^(WARNING: All log|[IWE]0000 |To enable the following)")  # TensorFlow's C++ code
nbclient = pytest.importorskip("nbclient", reason="no nbclient at hand: pip install '.[dev]'")
nbformat = pytest.importorskip("nbformat")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def results(cell):
    """The values that a cell shows: their text and their forms; not what is written to stderr while it runs."""
    return [output.data for output in cell.outputs if output.output_type == "execute_result"]


def lines_on_screen(text):
    """The lines that stay on the screen: not the progress bars, and not what TensorFlow's C++ code says."""
    lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line for line in lines if line and not CHATTER.match(line)]


def tidy(notebook):
    """Leave in the outputs what stays on the screen, and no times."""
    for cell in code_cells(notebook):
        cell.metadata.pop("execution", None)
        said = lines_on_screen("".join(output.text for output in cell.outputs if output.output_type == "stream"))
        cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]
        if said:
            text = "\n".join(said).replace(os.environ["TFL_CACHE"], "~/.cache/tfl") + "\n"
            cell.outputs.insert(0, nbformat.v4.new_output("stream", name="stderr", text=text))
    return notebook


@pytest.fixture(scope="module")
def executed(keras_home, tmp_path_factory):
    """The notebook after its cells ran in an empty folder, as a reader runs it."""
    notebook = nbformat.read(NOTEBOOK, 4)
    places = [str(NOTEBOOK.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    client = nbclient.NotebookClient(
        notebook, timeout=None, resources={"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
    )
    client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join(places)})
    if os.environ.get("TFL_WRITE_NOTEBOOK"):
        nbformat.write(tidy(notebook), NOTEBOOK)
    return notebook


def test_only_the_cell_about_mistakes_raises_and_says_one_line(executed):
    raised = [
        (cell, output) for cell in code_cells(executed) for output in cell.outputs if output.output_type == "error"
    ]
    ((cell, error),) = raised
    assert cell.metadata["tags"] == ["raises-exception"]
    (line,) = error.traceback
    assert line == f"InputError: {error.evalue}" and "Did you mean 'ResNet50'?" in line


def test_tables_and_pictures_are_shown(executed):
    shown = [data for cell in code_cells(executed) for data in results(cell)]
    tables = [data["text/html"] for data in shown if "text/html" in data]
    assert [table.startswith("<table>") for table in tables] == [True] * 4  # splits, result, predictions, stages
    assert sum(table.count("<img src=") for table in tables) == 20


def test_the_stored_outputs_are_those_of_a_run(executed):
    stored = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(stored)
    for there, here in zip(code_cells(stored), code_cells(executed), strict=True):
        assert there.execution_count == here.execution_count
        for old, new in zip(results(there), results(here), strict=True):
            assert old.keys() == new.keys()
            assert without_numbers(old["text/plain"]) == without_numbers(new["text/plain"]), there.source


def without_numbers(text):
    """A text in which numbers are replaced: the last digits differ between machines."""
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "N", text)[:400]
