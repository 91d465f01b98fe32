"""characters.json and byte_classes.json hold what the installed version of tokenizers does."""

import json
from pathlib import Path

import pytest
from oracles.characters import describe, describe_classes

import tfl

FOLDER = Path(tfl.__file__).parent / "inputs" / "text"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "found"), [("characters", describe), ("byte_classes", describe_classes)])
def test_every_character(name, found):
    assert found() == json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
