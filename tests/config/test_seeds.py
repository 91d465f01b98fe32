"""The seeds of a study: a list of them, or how many."""

import pytest

from tfl.config.seeds import MOST, check_seeds, parse_seeds
from tfl.errors import InputError


def test_a_number_means_the_seeds_from_zero():
    assert parse_seeds("5") == check_seeds(5) == check_seeds(range(5)) == (0, 1, 2, 3, 4)


def test_seeds_stay_in_their_order():
    assert parse_seeds("42, 7,0") == check_seeds([42, 7, 0]) == (42, 7, 0)


@pytest.mark.parametrize("text", ["", "a", "0,a", "0,", ",", "0,0", "0;1", "1.5", "0", "1", "-1", "-2,3"])
def test_what_is_no_study_is_refused(text):
    with pytest.raises(InputError, match="`seeds` must be"):
        parse_seeds(text)


@pytest.mark.parametrize("seeds", [True, "0,1", None, 1.5, [0, True], [0, 1.0], [1], [], [0, 2**31], range(MOST + 1)])
def test_python_values_are_checked_too(seeds):
    with pytest.raises(InputError, match="`seeds` must be"):
        check_seeds(seeds)


def test_one_seed_that_was_meant_as_such_leads_to_its_flag():
    with pytest.raises(InputError, match="Did you mean --seed=1234, which is one run"):
        parse_seeds("1234")
