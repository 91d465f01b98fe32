"""Occlusion equals covering by hand; overlays, neighbours and selections are what they say."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.metrics.pairwise import cosine_similarity

from tfl.errors import InputError
from tfl.explain import (
    least_confident_hits,
    most_confident_errors,
    nearest,
    occlusion,
    overlay,
    typical_examples,
)
from tfl.tasks import get_task


def classifier(outputs=3):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(outputs),
        ]
    )


def images_of(count):
    return np.random.default_rng(0).integers(0, 256, (count, 12, 10, 3)).astype(np.uint8)


@pytest.mark.parametrize(("outputs", "number"), [(3, 2), (1, 0), (1, 1)])
def test_the_fall_is_that_of_covering_by_hand(outputs, number):
    model, images = classifier(outputs), images_of(2)
    result = occlusion(model, images, number, patch=4, stride=3)

    def score(image):
        logits = model(image[None].astype(np.float32)).numpy()[0]
        return logits[number] if outputs > 1 else (logits[0] if number else -logits[0])

    for image, fall in zip(images, result, strict=True):
        total, count = np.zeros((12, 10)), np.zeros((12, 10))
        for top in (0, 3, 6, 8):
            for left in (0, 3, 6):
                covered = image.astype(np.float32).copy()
                covered[top : top + 4, left : left + 4] = image.mean(axis=(0, 1))
                total[top : top + 4, left : left + 4] += score(image) - score(covered)
                count[top : top + 4, left : left + 4] += 1
        np.testing.assert_allclose(fall, total / count, atol=1e-5)


def test_only_what_matters_falls():
    """A model that reads the mean of the upper left quarter."""
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Dense(1)(layers.Flatten()(image)))
    weights = np.zeros((8, 8, 3))
    weights[:4, :4] = 1
    model.layers[-1].set_weights([weights.reshape(-1, 1), np.zeros(1)])
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[0, :4, :4] = 200
    fall = occlusion(model, pixels, 1, patch=2, stride=2)[0]
    assert (fall[:4, :4] > 0).all()
    assert not fall[4:].any()
    assert not fall[:, 4:].any()


def test_mistakes_of_occlusion_are_named():
    for patch, stride, message in ((11, 0, "`patch` must be between 1 and 10"), (4, 5, "`stride` must be between")):
        with pytest.raises(InputError, match=message):
            occlusion(classifier(), images_of(1), patch=patch, stride=stride)


def test_an_overlay_is_grey_where_cold_and_orange_where_hot():
    image = images_of(1)[0]
    cold = overlay(image, np.zeros((12, 10)))
    assert np.ptp(cold.astype(int), axis=-1).max() == 0
    np.testing.assert_allclose(cold[..., 0], image @ [0.299, 0.587, 0.114], atol=0.51)
    hot = overlay(image, np.ones((3, 5))).astype(int)
    assert hot.shape == image.shape
    assert (hot[..., 0] > hot[..., 1] + 20).all()
    assert (hot[..., 1] >= hot[..., 2]).all()


def test_neighbours_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    queries, features = rng.normal(size=(4, 6)), rng.normal(size=(30, 6))
    features[7] = 0
    rows, cosines = nearest(queries, features, 5)
    expected = cosine_similarity(queries, features)
    np.testing.assert_array_equal(rows, np.argsort(-expected, axis=1)[:, :5])
    np.testing.assert_allclose(cosines, -np.sort(-expected, axis=1)[:, :5], atol=1e-6)
    assert nearest(queries, features[:2], 5)[0].shape == (4, 2)


def test_classes_are_judged_and_sorted_by_certainty():
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.05, 0.95], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]])
    outcomes = get_task("multiclass").outcomes(probabilities, np.array([0, 0, 0, 1, 1, 1]))
    assert outcomes.is_correct.tolist() == [True, False, False, False, True, True]
    assert most_confident_errors(outcomes, 2).tolist() == [2, 1]
    assert least_confident_hits(outcomes, 9).tolist() == [5, 4, 0]
    assert typical_examples(outcomes, 0, 3).tolist() == [0]
    assert len(typical_examples(get_task("binary").outcomes(probabilities, np.ones(6, int)), 0, 3)) == 0


def test_the_typical_example_is_the_one_in_the_middle():
    sure = np.array([0.99, 0.6, 0.8, 0.97, 0.7])
    outcomes = get_task("multiclass").outcomes(np.stack([sure, 1 - sure], axis=1), np.zeros(5, int))
    assert typical_examples(outcomes, 0, 1).tolist() == [2]


def test_of_several_labels_all_must_be_right():
    probabilities = np.array([[0.9, 0.2, 0.6], [0.9, 0.2, 0.6], [0.99, 0.02, 0.03]])
    outcomes = get_task("multilabel").outcomes(probabilities, np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]], np.float32))
    assert outcomes.is_correct.tolist() == [True, False, True]
    assert outcomes.predicted.tolist() == [2, 0, 2]  # the label that decides
    np.testing.assert_allclose(outcomes.confidence, [0.6, 0.9, 0.97])


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_of_values_the_largest_error_counts(shape):
    outcomes = get_task("regression").outcomes(np.array([[1.0], [2.0], [3.0]]), np.reshape([1.5, 2.0, 0.0], shape))
    np.testing.assert_allclose(outcomes.confidence, [0.5, 0, 3])
    assert most_confident_errors(outcomes, 1).tolist() == [2]
