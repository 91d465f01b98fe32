"""Short flags set the option whose name they stand for."""

import pytest

from tfl.config import SHORT_NAMES, check_option, long_flags
from tfl.errors import InputError


def test_every_short_name_stands_for_an_option():
    for path in SHORT_NAMES.values():
        check_option(path)
    assert len(set(SHORT_NAMES.values())) == len(SHORT_NAMES)


def test_words_are_translated_in_their_place():
    words = ["photos", "--seed", "3", "-epochs=4", "--config.data.batch_size=8", "--backbone=a=b", "epochs"]
    assert long_flags(words, list(SHORT_NAMES)) == [
        "photos", "--config.seed", "3", "--config.finetune.epochs=4", "--config.data.batch_size=8",
        "--config.backbone.name=a=b", "epochs",
    ]  # fmt: skip
    assert long_flags(words, []) == words


def test_an_option_has_one_value():
    with pytest.raises(InputError, match=r"`seed` must be given once\. Received: --seed and --config\.seed"):
        long_flags(["--seed=1", "--config.seed=2"], ["seed"])
