"""Which candidates are chosen: margin as NumPy orders them, TypiClust one typical example for each new cluster."""

import numpy as np
import pytest
from scipy.special import softmax

from tfl.errors import InputError
from tfl.selection import next_labels
from tfl.selection.next_labels import METHODS, check_choice, choose_next, resolve_method

pytest.importorskip("skactiveml", reason="the extra `label` is not installed")
NOTHING = np.zeros((0, 6))


@pytest.fixture
def task():
    """Features of labelled and unlabelled examples, and the probabilities of a head."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(6, 3))
    return rng.normal(size=(12, 6)), rng.normal(size=(80, 6)), lambda values: softmax(values @ kernel, axis=1)


def test_margin_takes_the_examples_whose_two_best_classes_are_closest(task):
    labelled, candidates, probabilities = task
    best = np.sort(probabilities(candidates), axis=1)
    chosen = choose_next(labelled, candidates, 9, probabilities, method="margin")
    assert chosen.tolist() == np.argsort(best[:, -1] - best[:, -2])[:9].tolist()


def test_typiclust_takes_the_most_typical_example_of_each_cluster_without_a_label():
    rng = np.random.default_rng(0)
    centres = 20.0 * np.eye(6)[:5]
    sizes = [30, 25, 20, 15, 10]
    candidates = np.concatenate(
        [centre + rng.normal(size=(size, 6)) for centre, size in zip(centres, sizes, strict=True)]
    )
    cluster = np.repeat(np.arange(5), sizes)
    chosen = choose_next(NOTHING, candidates, 5, method="typiclust")
    assert cluster[chosen].tolist() == [0, 1, 2, 3, 4]  # the largest first
    for number, place in enumerate(chosen):  # typical: near to its five nearest neighbours
        rows = np.flatnonzero(cluster == number)
        distances = np.linalg.norm(candidates[rows, None] - candidates[rows], axis=2)
        assert place == rows[np.sort(distances)[:, :6].sum(axis=1).argmin()]
    labelled = centres[[0, 2]] + 0.1
    assert cluster[choose_next(labelled, candidates, 3, method="typiclust")].tolist() == [1, 3, 4]


def test_dropquery_takes_examples_whose_class_is_not_sure(task):
    labelled, candidates, probabilities = task
    chosen = choose_next(labelled, candidates, 9, probabilities, method="dropquery")
    sure = 50 * np.sign(candidates)  # no dropped features change these much
    together = np.concatenate([candidates, np.repeat(sure[:1], 3, axis=0)])
    assert len(set(chosen.tolist())) == 9
    assert not set(choose_next(labelled, together, 9, probabilities, method="dropquery").tolist()) >= {80, 81, 82}


@pytest.mark.parametrize("method", [method for method in METHODS if method != "auto"])
def test_each_choice_is_different_is_repeatable_and_has_no_copy_before_all_others(task, method):
    labelled, candidates, probabilities = task
    copies = np.concatenate([np.repeat(candidates[:6], 4, axis=0), labelled])  # six examples that are new
    for count in (1, 6, 8, 36, 50):
        chosen = choose_next(labelled, copies, count, probabilities, method=method, seed=3)
        assert len(set(chosen.tolist())) == len(chosen) == min(count, 36)
        assert len(np.unique(copies[chosen[:6]], axis=0)) == min(count, 6) and chosen[:6].max() < 24
        again = choose_next(labelled, copies, count, probabilities, method=method, seed=3)
        assert np.array_equal(chosen, again)


def test_large_sets_are_sampled_and_it_is_said(task, monkeypatch, capsys):
    labelled, candidates, probabilities = task
    monkeypatch.setattr(next_labels, "MOST_CANDIDATES", 20)
    monkeypatch.setattr(next_labels, "MOST_LABELLED", 4)
    assert len(choose_next(labelled, candidates, 9, probabilities, method="typiclust")) == 9
    assert "chosen among 20 of 80 candidates, drawn at random" in capsys.readouterr().err


def test_auto_asks_the_head_only_where_it_has_enough_labels():
    assert [resolve_method("auto", per_class) for per_class in (0, 9.9, 10)] == ["typiclust", "typiclust", "margin"]


@pytest.mark.parametrize(
    ("count", "method", "message"),
    [
        (0, "auto", "`next_count` must be a whole number from 1. Received: 0."),
        (2.5, "auto", "`next_count` must be a whole number from 1. Received: 2.5."),
        (3, "margn", "Did you mean 'margin'"),
        (3, "margin", "`next_method` must be 'typiclust' if nothing is labelled yet"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(count, method, message):
    with pytest.raises(InputError, match=message):
        check_choice(count, method, has_labels=False)
