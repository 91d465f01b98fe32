"""The pages of docs/reference are what the code says now, and the table of the files of a run is complete."""

import importlib.util
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from doc_blocks import ROOT
from option_runs import make_config, tiny_networks, write_photos

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


def test_every_file_of_a_run_is_in_the_table_and_the_reverse(reference, tmp_path):
    photos = write_photos(tmp_path / "photos", (14, 14))
    write_photos(tmp_path / "other", (12, 12), seed=1)
    options = {"finetune.epochs": 1, "scratch.epochs": 1, "pretrain.epochs": 1}
    options["pretrain.source"] = f"folder:{tmp_path / 'other'}"
    with tiny_networks():
        result = tfl.transfer(make_config(photos, tmp_path / "store", options), tmp_path / "run")
        tfl.export_workdir(result.workdir, tfl.ExportOptions(formats=["keras"]))
    written = {f"{path.name}/" if path.is_dir() else path.name for path in Path(result.workdir).iterdir()}
    assert written == {name for name, _, _ in reference.WORKDIR}
    assert not any(fnmatch(name, "*.tmp*") for name in written)
