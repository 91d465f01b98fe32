"""The pages of docs/reference are what the code says now.

That the table of a run's files is complete is checked where runs are made: in tests/test_docs.py and test_scripts.py.
"""

import importlib.util
import re
import sys

import pytest
from doc_blocks import ROOT

import tfl

FOLDER = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def reference():
    """The program that writes the pages."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / ".ci" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / ".ci")
        spec.loader.exec_module(module)
        yield module
    sys.modules.pop("public_names", None)


def test_the_pages_are_current(reference):
    written = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
    made = reference.pages()
    assert written.keys() == made.keys()
    for name, text in made.items():
        assert written[name] == text, f"{name}: run `make reference`"


def test_every_public_name_is_described():
    page = (FOLDER / "python.md").read_text("utf-8")
    assert sorted(re.findall(r"^## tfl\.(\w+)$", page, re.MULTILINE)) == sorted(tfl.__all__)
    for name in tfl.__all__:
        section = page.partition(f"\n## tfl.{name}\n")[2].partition("\n## ")[0]
        assert "**Example**" in section, name
