"""characters.json holds what the installed version of tokenizers does."""

import json
from pathlib import Path

import pytest
from oracles.characters import describe

import tfl


@pytest.mark.slow
def test_every_character():
    file = Path(tfl.__file__).parent / "inputs" / "text" / "characters.json"
    assert describe() == json.loads(file.read_text(encoding="utf-8"))
