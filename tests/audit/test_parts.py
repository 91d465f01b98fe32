"""Neighbours, opinions, outliers, classes, shortcuts and placeholders, against scikit-learn and planted faults."""

import numpy as np
import pytest
from audit_pictures import picture
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.metrics import recall_score
from sklearn.neighbors import NearestNeighbors

from tfl.audit import neighbours
from tfl.audit.classes import find_classes
from tfl.audit.labels import find_label_errors
from tfl.audit.neighbours import find_neighbours, narrowed
from tfl.audit.opinions import form_opinions, pooled
from tfl.audit.outliers import find_outliers
from tfl.audit.placeholders import find_placeholders
from tfl.audit.short import short_audit
from tfl.audit.shortcuts import _told_apart, measure_trait


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def blobs(count=60, num_classes=3, seed=0):
    """Features of well separated classes, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % num_classes
    return rng.normal(size=(count, 16)) * 0.4 + 3 * np.eye(num_classes, 16)[labels], labels


def photos(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([picture(rng, 24) for _ in range(count)])


def test_neighbours_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    rows = unit(np.random.default_rng(0).normal(size=(50, 6)))
    near, cosines = find_neighbours(rows, 4)
    distances, expected = NearestNeighbors(n_neighbors=5, metric="cosine").fit(rows).kneighbors(rows)
    np.testing.assert_array_equal(near, expected[:, 1:])
    np.testing.assert_allclose(cosines, 1 - distances[:, 1:], atol=1e-5)


def test_an_index_finds_the_same_neighbours(monkeypatch):
    pytest.importorskip("usearch")
    rows = unit(np.random.default_rng(0).normal(size=(200, 8)))
    exact, _ = find_neighbours(rows, 3)
    monkeypatch.setattr(neighbours, "MOST_EXACT", 100)
    near, cosines = find_neighbours(rows, 3)
    assert np.mean(near == exact) > 0.98
    assert not (near == np.arange(200)[:, None]).any() and (np.diff(cosines, axis=1) <= 1e-6).all()


def test_fewer_rows_than_neighbours():
    assert find_neighbours(np.eye(3, dtype=np.float32), 10)[0].shape == (3, 2)
    assert find_neighbours(np.eye(1, dtype=np.float32), 10)[0].shape == (1, 0)


def test_a_projection_keeps_copies_together():
    rows = unit(np.random.default_rng(0).normal(size=(40, 600)) + 2)
    narrow = narrowed(np.concatenate([rows, rows[:5]]), seed=0)
    near, cosines = find_neighbours(narrow, 1)
    assert near[:5, 0].tolist() == [40, 41, 42, 43, 44] and cosines[:5].min() > 0.999
    assert narrow.shape == (45, 128) and cosines[5:40].max() < 0.6


def test_flipped_labels_are_found(make_material):
    features, labels = blobs()
    given = labels.copy()
    flipped = [3, 10, 29, 41]
    given[flipped] = (given[flipped] + 1) % 3
    material, row = make_material(photos(60), given, features, ["train"] * 36 + ["validation"] * 12 + ["test"] * 12)
    opinions = form_opinions(material, np.arange(60))
    found = find_label_errors(material, opinions)
    assert {finding.id for finding in found} == {material.name(row[n]) for n in flipped}
    assert {finding.id: finding.label for finding in found} == {
        material.name(row[n]): material.index.class_names[labels[n]] for n in flipped
    }
    for finding in found:  # the evidence names examples that have the suggested label
        of = dict(zip(material.index.ids.tolist(), material.index.labels.tolist(), strict=True))
        assert {material.index.class_names[of[name]] for name in finding.others} == {finding.label}
    suspicious = [finding for finding in short_audit(material) if finding.kind == "label error"]
    assert {finding.id for finding in suspicious} == {finding.id for finding in found}


def test_test_labels_change_no_opinion(make_material):
    """Nothing is fitted or chosen on the test split."""
    features, labels = blobs()
    splits = ["train"] * 36 + ["validation"] * 12 + ["test"] * 12
    others = np.concatenate([labels[:48], (labels[48:] + 1) % 3])
    opinions = []
    for given in (labels, others):
        material, row = make_material(photos(60), given, features, splits)
        found = form_opinions(material, np.arange(60))
        positions = np.argsort(row)
        opinions.append((found.head[row], [set(positions[voters]) for voters in found.voters[row]]))
    np.testing.assert_array_equal(opinions[0][0][48:], opinions[1][0][48:])
    np.testing.assert_allclose(opinions[0][0][:48], opinions[1][0][:48], atol=0.2)
    assert opinions[0][1] == opinions[1][1]
    assert not any(voters & set(range(48, 60)) for voters in opinions[0][1])


def test_two_opinions_are_pooled_with_the_powers_that_make_the_labels_most_probable():
    rng = np.random.default_rng(0)
    labels, rows = rng.integers(0, 3, 400), np.arange(0, 400, 2)
    logits = rng.normal(size=(2, 400, 3)) + np.array([2.0, 0.7])[:, None, None] * np.eye(3)[labels]
    head, votes = softmax(3 * logits[0], axis=1), softmax(logits[1], axis=1)  # the head is too sure
    belief = pooled(head, votes, labels, rows)

    def loss(powers, of=rows):
        scores = powers[0] * np.log(head) + powers[1] * np.log(votes)
        return -np.mean(np.log(softmax(scores, axis=1)[of, labels[of]]))

    best = minimize(loss, [0.5, 0.5], method="Nelder-Mead", options={"xatol": 1e-6}).x
    expected = head ** best[0] * votes ** best[1]
    np.testing.assert_allclose(belief, expected / expected.sum(axis=1, keepdims=True), atol=1e-3)
    others = labels.copy()
    others[1::2] = (others[1::2] + 1) % 3
    np.testing.assert_array_equal(pooled(head, votes, others, rows), belief)  # other rows choose nothing


def test_opinions_that_know_nothing_name_no_label():
    labels = np.arange(40) % 2
    against = np.where(np.eye(2)[labels] == 1, 0.4, 0.6)
    assert np.ptp(pooled(against, against, labels, np.arange(40))) == 0


def test_one_outlier_among_a_cloud(make_material):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8)) * 0.2 + 1
    features[17] *= -1
    material, row = make_material(photos(60), [0, 1] * 30, features)
    assert [finding.id for finding in find_outliers(material)] == [material.name(row[17])]
    features[17] *= -1
    material, _ = make_material(photos(60), [0, 1] * 30, features)
    assert find_outliers(material) == []


def kinds(findings):
    return {(finding.kind, finding.id) for finding in findings}


def test_classes_that_are_small_confused_or_the_same(make_material):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], [90, 90, 90, 8])
    splits = np.where(np.arange(278) % 5 == 0, "test", "train")
    material, _ = make_material(photos(278), labels, rng.normal(size=(278, 4)), splits)
    given = material.index.labels
    head = np.full((278, 4), 0.01) + 0.9 * np.eye(4)[given]
    assert kinds(find_classes(material, head)) == {("small class", "3"), ("imbalance", "0, 3")}
    coin = rng.integers(0, 2, 278)
    same = np.where((given < 2)[:, None], 0.9 * np.eye(4)[coin], head)
    assert ("same classes", "0, 1") in kinds(find_classes(material, same))
    lost = head.copy()
    lost[(given == 0) & (np.arange(278) % 2 == 0)] = [0.2, 0.8, 0, 0]
    assert ("confused classes", "0, 1") in kinds(find_classes(material, lost))
    assert kinds(find_classes(material, None)) == kinds(find_classes(material, head))


def test_a_planted_shortcut_is_far_above_chance_and_noise_is_not():
    rng = np.random.default_rng(0)
    labels, groups = np.arange(200) % 2, np.arange(200)
    planted = (labels * 10 + rng.normal(size=200))[:, None]
    found = measure_trait(planted, labels, groups)
    assert found.share > 0.95 and found.low > 0.9 and found.is_far_above_chance
    noise = measure_trait(rng.normal(size=(200, 1)), labels, groups)
    assert noise.low < 0.1 and not noise.is_far_above_chance


def test_a_sign_of_one_class_of_ten_is_found():
    labels = np.arange(300) % 10
    planted = np.where(labels == 7, 60.0, 95.0)[:, None]
    found = measure_trait(planted, labels, np.arange(300))
    assert (found.share, found.label) == (1, 7) and found.is_far_above_chance


def test_youdens_index_is_that_of_the_recalls_of_a_class_and_of_its_rest():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    predicted = np.where(rng.random(200) < 0.5, labels, rng.integers(0, 4, 200))
    expected = [
        recall_score(labels == label, predicted == label) + recall_score(labels != label, predicted != label) - 1
        for label in range(4)
    ]
    assert _told_apart(labels, predicted) == (pytest.approx(max(expected)), np.argmax(expected))


def test_placeholders(make_material):
    images = photos(60)
    images[7] = 255  # a flat picture
    images[20] = np.where(np.indices((24, 24)).sum(axis=0)[..., None] < 9, 0, 250)  # two colours
    images[30:33] = images[33]  # one picture four times
    material, row = make_material(images, [0, 1] * 30)
    found = {finding.id for finding in find_placeholders(material)}
    assert found == {material.name(row[n]) for n in (7, 20, 30, 31, 32, 33)}
