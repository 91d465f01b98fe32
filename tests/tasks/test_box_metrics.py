"""Metrics of boxes: equal to those of pycocotools, on random and degenerate images, also where images are repeated."""

import numpy as np
import pytest
from box_formulas import NAMES, by_pycocotools
from sklearn.metrics import average_precision_score

from tfl.errors import InputError
from tfl.tasks.boxes import matching
from tfl.tasks.boxes.errors import KINDS, count_errors
from tfl.tasks.boxes.matching import AREAS, match
from tfl.tasks.boxes.precision import average_precisions, curve, figures
from tfl.tasks.boxes.values import Boxes

CLASSES = 3
NO_TRUTH, NO_FOUND = np.zeros((0, 5)), np.zeros((0, 6))


def random_set(seed, num_images=8, ties=False):
    """Return true and predicted rows of some images: objects of all sizes, some crowds, detections near and far."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(num_images):
        count = rng.integers(0, 7)
        low = rng.uniform(0, 200, (count, 2))
        sides = np.exp(rng.uniform(np.log(6), np.log(220), (count, 2)))
        classes = rng.integers(0, CLASSES - (seed % 2), count).astype(float)  # with an odd seed a class is absent
        classes = np.where(rng.random(count) < 0.1, -2 - classes, classes)
        own = np.concatenate([low, low + sides, classes[:, None]], axis=1)
        near = np.repeat(own, rng.integers(0, 4, count), axis=0)
        near[:, :4] += rng.normal(0, 0.12, (len(near), 4)) * np.tile(near[:, 2:4] - near[:, :2], 2)
        near[:, 2:4] = np.maximum(near[:, 2:4], near[:, :2] + 1)
        near[:, 4] = np.where(near[:, 4] < 0, -2 - near[:, 4], near[:, 4])
        far = rng.uniform(0, 150, (rng.integers(0, 6), 2))
        far = np.concatenate(
            [far, far + rng.uniform(4, 200, far.shape), rng.integers(0, CLASSES, (len(far), 1))], axis=1
        )
        both = np.concatenate([near, far])
        scores = rng.random(len(both))
        scores = np.round(scores, 1) if ties else scores
        truth.append(own)
        found.append(np.concatenate([both[:, :4], scores[:, None], both[:, 4:]], axis=1))
    return truth, found


def matched(truth, found, num_classes=CLASSES):
    return match([Boxes.of(rows) for rows in truth], [Boxes.of(rows) for rows in found], num_classes)


def boxes(*rows):
    return np.array(rows, float)


ONE = boxes([10, 10, 60, 60, 0])
DEGENERATE = {
    "no images": ([], []),
    "no object": ([NO_TRUTH], [boxes([1, 1, 9, 9, 0.5, 0])]),
    "no detection": ([ONE], [NO_FOUND]),
    "nothing at all": ([NO_TRUTH, NO_TRUTH], [NO_FOUND, NO_FOUND]),
    "an absent class is detected": ([ONE], [boxes([10, 10, 60, 60, 0.5, 0], [0, 0, 9, 9, 0.9, 2])]),
    "equal scores": ([np.repeat(ONE, 2, axis=0)], [np.repeat(boxes([10, 10, 60, 58, 0.5, 0]), 5, axis=0)]),
    "boxes that touch": ([ONE], [boxes([60, 10, 90, 60, 0.9, 0], [10, 60, 60, 99, 0.8, 0])]),
    "an overlap of exactly a half": ([boxes([0, 0, 10, 10, 0])], [boxes([0, 0, 10, 5, 0.9, 0])]),
    "an area at a limit": ([boxes([0, 0, 32, 32, 0], [50, 0, 146, 96, 0])], [boxes([0, 0, 32, 32, 0.4, 0])]),
    "a crowd alone": ([boxes([0, 0, 90, 90, -2])], [boxes([0, 0, 9, 9, 0.9, 0], [5, 5, 30, 30, 0.8, 0])]),
    "more than 100": ([ONE], [np.repeat(boxes([200, 200, 260, 260, 0.9, 0], [10, 10, 60, 60, 0.1, 0]), 101, axis=0)]),
    "the same place, two classes": ([ONE], [boxes([10, 10, 60, 60, 0.9, 1], [10, 10, 60, 60, 0.8, 0])]),
    "a detection without area": ([ONE], [boxes([10, 10, 10, 10, 0.9, 0])]),
}


def check(truth, found):
    wanted, precision = by_pycocotools(truth, found, CLASSES) if truth else (dict.fromkeys(NAMES, np.nan), None)
    matches = matched(truth, found)
    result = figures(matches, np.ones((2, len(truth))))
    assert tuple(result) == NAMES
    for name in NAMES:
        np.testing.assert_allclose(result[name], [wanted[name]] * 2, rtol=0, atol=1e-12, err_msg=name)
    if precision is not None:
        each = np.where(precision.min(axis=1) < 0, np.nan, precision.mean(axis=1))  # overlap, class, area
        own = average_precisions(matches, np.ones((1, len(truth))))[0]
        np.testing.assert_allclose(own, np.moveaxis(each, 0, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_figures_equal_those_of_pycocotools(seed, ties):
    check(*random_set(seed, ties=ties))


@pytest.mark.parametrize("name", DEGENERATE)
def test_figures_of_degenerate_images_equal_those_of_pycocotools(name):
    check(*DEGENERATE[name])


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_resampled_images_are_those_of_repeated_images(seed):
    truth, found = random_set(seed)
    counts = np.random.default_rng(seed).multinomial(len(truth), [1 / len(truth)] * len(truth), size=70)
    result = figures(matched(truth, found), counts)
    for place in (0, 1, 69):
        drawn = np.repeat(np.arange(len(truth)), counts[place])
        wanted, _ = by_pycocotools([truth[image] for image in drawn], [found[image] for image in drawn], CLASSES)
        for name in NAMES:
            np.testing.assert_allclose(result[name][place], wanted[name], rtol=0, atol=1e-12, err_msg=name)


def test_copies_of_an_image_with_equal_scores_come_one_detection_after_the_other():
    truth, found = [ONE], [boxes([200, 200, 260, 260, 0.5, 0], [10, 10, 60, 60, 0.5, 0])]
    value = figures(matched(truth, found), np.array([[2]]))["ap50"][0]
    assert value == pytest.approx(0.5)  # two wrong ones, then two right ones


def test_the_curve_is_that_of_scikit_learn_where_every_object_is_found():
    truth = [boxes([10, 10, 60, 60, 0])] * 20
    rng = np.random.default_rng(0)
    found = [boxes([10, 10, 60, 60, rng.random(), 0], [200, 200, 230, 230, rng.random(), 0]) for _ in truth]
    result = curve(matched(truth, found), 0)
    scores = np.concatenate([rows[:, 4] for rows in found])
    steps = np.diff(result.recall, prepend=0) @ result.precision
    assert steps == pytest.approx(average_precision_score([1, 0] * 20, scores))
    assert result.recall[-1] == 1.0
    assert (np.diff(result.scores) < 0).all()
    assert len(curve(matched([NO_TRUTH], [found[0]]), 0).scores) == 0


def test_one_score_is_one_point_of_the_curve():
    found = [boxes([10, 10, 60, 60, 0.5, 0], [200, 200, 230, 230, 0.5, 0])]
    result = curve(matched([ONE], found), 0)
    assert (result.scores.tolist(), result.recall.tolist(), result.precision.tolist()) == ([0.5], [1.0], [0.5])


@pytest.mark.parametrize(
    ("detections", "kinds"),
    [
        (NO_FOUND, {"missed": 1}),
        (boxes([10, 10, 60, 60, 0.9, 0]), {"right": 1}),
        (boxes([10, 10, 60, 60, 0.9, 0], [10, 10, 60, 58, 0.8, 0]), {"right": 1, "duplicate": 1}),
        (boxes([10, 10, 60, 30, 0.9, 0]), {"misplaced": 1}),
        (boxes([10, 10, 60, 60, 0.9, 1]), {"confused": 1}),
        (boxes([10, 10, 60, 30, 0.9, 1]), {"both": 1, "missed": 1}),
        (boxes([100, 100, 160, 160, 0.9, 0]), {"background": 1, "missed": 1}),
        (boxes([10, 10, 60, 60, 0.2, 0], [100, 100, 160, 160, 0.1, 2]), {"missed": 1}),
    ],
)
def test_errors_have_kinds(detections, kinds):
    found = [Boxes.of(detections), Boxes.of(NO_FOUND)]
    truth = [Boxes.of(ONE), Boxes.of(NO_TRUTH)]
    least = 0.3 if len(detections) and detections[0, 4] < 0.3 else 0.0
    counts = count_errors(truth, match(truth, found, CLASSES), found, least)
    assert {name: count for name, count in zip(KINDS, counts[0].tolist(), strict=True) if count} == kinds
    assert not counts[1].any()


@pytest.mark.parametrize("seed", range(4))
def test_errors_add_up(seed):
    truth, found = ([Boxes.of(rows) for rows in part] for part in random_set(seed, ties=True))
    matches = match(truth, found, CLASSES)
    counts = count_errors(truth, matches, found)
    counted = matches.states[:, 0, 0] != 0
    np.testing.assert_array_equal(
        counts[:, :-1].sum(axis=1), np.bincount(matches.images[counted], minlength=len(truth))
    )
    assert counts[:, 0].sum() == (matches.states[:, 0, 0] == 1).sum()
    objects = matches.objects[:, :, AREAS.index("all")].sum(axis=1)
    assert (counts[:, 0] + counts[:, -1] <= objects).all()


def test_wrong_values_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"`rows` must be finite numbers of shape"):
        Boxes.of(np.full((1, 5), np.nan))
    with pytest.raises(ValueError, match="as many images"):
        match([Boxes.of(ONE)], [], 1)
    with pytest.raises(ValueError, match="1 with class 2"):
        match([Boxes.of(ONE)], [Boxes.of(boxes([1, 1, 2, 2, 0.5, 2]))], 1)
    monkeypatch.setattr(matching, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match=r"Received: no_such_package, which is not installed.*detection"):
        match([Boxes.of(ONE)], [Boxes.of(NO_FOUND)], 1)
