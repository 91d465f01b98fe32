"""Label errors of examples with several labels or values: what is planted is found, and little else."""

import numpy as np

from tfl.audit import audit
from tfl.audit.other_labels import find_doubtful_labels

SPLITS = np.array(["train"] * 100 + ["validation"] * 20 + ["test"] * 40)


def features_of(rng, count=160):
    return rng.normal(size=(count, 8))


def test_flipped_labels_of_sets_are_found_and_the_right_set_is_suggested(make_material):
    rng = np.random.default_rng(0)
    features = features_of(rng)
    labels = (features[:, :3] > 0).astype(np.float32)
    features[:, :3] += np.sign(features[:, :3])  # a gap between yes and no
    given, flipped = labels.copy(), {5: 0, 50: 2, 110: 1, 130: 0, 155: 1}
    for number, place in flipped.items():
        given[number, place] = 1 - given[number, place]
    images = rng.integers(0, 255, (160, 8, 8, 3))
    material, row = make_material(images, given, features, SPLITS, task="multilabel")
    found = {finding.id: finding for finding in find_doubtful_labels(material, np.arange(160))}
    assert set(found) == {material.name(row[number]) for number in flipped}
    for number in flipped:
        finding = found[material.name(row[number])]
        right = material.task.labels.text(labels[number], material.index.class_names)
        assert (finding.decision, finding.label) == (("relabel", right) if right else ("exclude", ""))


def test_wrong_values_are_found(make_material):
    rng = np.random.default_rng(0)
    features = features_of(rng)
    values = (features @ rng.normal(size=8) + rng.normal(size=160) * 0.1).astype(np.float32)
    images = rng.integers(0, 255, (160, 8, 8, 3))
    material, _ = make_material(images, values, features, SPLITS, task="regression")
    assert find_doubtful_labels(material, np.arange(160)) == []
    values[[7, 105, 140]] *= -5  # also in validation and test
    material, row = make_material(images, values, features, SPLITS, task="regression")
    found = {finding.id for finding in find_doubtful_labels(material, np.arange(160))}
    assert found == {material.name(row[number]) for number in (7, 105, 140)}
    assert audit(material).counts["label error"] == 3


def test_labels_of_test_change_no_other_finding(make_material):
    rng = np.random.default_rng(0)
    features, images = features_of(rng), rng.integers(0, 255, (160, 8, 8, 3))
    values = (features @ rng.normal(size=8) + rng.normal(size=160)).astype(np.float32)
    values[7] = 100
    for task, labels in (("regression", values), ("multilabel", (features[:, :3] > rng.normal()).astype(np.float32))):
        others = labels.copy()
        others[120:] = others[120:][::-1]
        found = []
        for given in (labels, others):
            material, row = make_material(images, given, features, SPLITS, task=task)
            fitting = {material.name(row[number]) for number in range(120)}
            found.append([f.row for f in find_doubtful_labels(material, np.arange(160)) if f.id in fitting])
        assert found[0] == found[1]
