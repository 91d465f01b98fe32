"""What the words of a command mean."""

from pathlib import Path

import pytest

from tfl import recipes
from tfl.commands import places
from tfl.commands import recipes as flags_of_recipes
from tfl.errors import InputError
from tfl.files.existing import guess_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    """A folder with photos, in which the command runs."""
    (tmp_path / "My photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "My photos"


def test_a_source_is_guessed_from_a_path(photos):
    for word in ("My photos", "./My photos/", str(photos)):
        assert guess_source(word) == f"folder:{word}"
    for word in ("digits", "digits:0-4", "tfds:tf_flowers", "folder:elsewhere"):
        assert guess_source(word) == word
    assert guess_source("Digits:0-4") == "digits:0-4"
    (photos.parent / "labels.CSV").touch()
    assert guess_source("labels.CSV") == "csv:labels.CSV"


def test_a_folder_with_the_name_of_a_source_is_not_guessed(photos):
    photos.rename(photos.with_name("digits"))
    with pytest.raises(InputError, match=r"which is also a folder\. Did you mean 'folder:digits'"):
        guess_source("digits")
    assert guess_source("./digits") == "folder:./digits"


@pytest.mark.parametrize(
    ("source", "workdir"),
    [
        ("folder:My photos", "runs/My-photos"),
        ("folder:/data/photos/", "runs/photos"),
        ("folder:a/../b", "runs/b"),
        ("folder:/", "runs/run"),
        ("digits", "runs/digits"),
        ("digits:0-4", "runs/digits-0-4"),
        ("tfds:tf_flowers", "runs/tf_flowers"),
        ("csv:data/labels.csv", "runs/labels"),
    ],
)
def test_a_workdir_is_named_after_the_source(source, workdir):
    assert places.name_workdir(source) == workdir


def test_the_current_folder_has_a_name(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert places.name_workdir(guess_source(".")) == "runs/My-photos"


def test_recipes_are_those_of_configs():
    assert recipes.recipes() == {file.stem: file for file in (ROOT / "configs").glob("*.py")}
    assert recipes.find_recipe("folder") == str(ROOT / "configs" / "folder.py")
    Path("mine.py").write_text("")
    assert recipes.find_recipe("mine.py") == "mine.py"


def test_the_file_of_the_recipe_stands_before_its_options():
    folder = f"--config={ROOT / 'configs' / 'folder.py'}"
    assert flags_of_recipes.with_recipe(["photos", "--config.seed=1"]) == [folder, "photos", "--config.seed=1"]
    assert flags_of_recipes.with_recipe(["--recipe", "folder"]) == [folder, "--recipe", "folder"]
    for words in (["--config.seed=1", "--config=mine.py"], ["--config.seed=1", "--config", "mine.py"]):
        assert flags_of_recipes.with_recipe(words) == ["--config=mine.py", "--config.seed=1"]
    assert flags_of_recipes.with_named_recipe(["--config.seed=1"]) == ["--config.seed=1"]
