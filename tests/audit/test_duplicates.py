"""Near duplicates: what is planted is found, by any way in which one picture becomes two files."""

import io

import numpy as np
import pytest
from audit_pictures import picture
from PIL import Image
from sklearn.datasets import load_digits

from tfl.audit.duplicates import (
    SHORT,
    THOROUGH,
    Duplicates,
    best_crop,
    connected_sets,
    find_duplicates,
    joined,
    perceptual_hashes,
)
from tfl.audit.leaks import report_duplicates


def jpeg(image, quality=60):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return np.array(Image.open(content))


def resized(image):
    height, width = image.shape[:2]
    return np.array(Image.fromarray(image).resize((width * 5 // 8, height * 5 // 8)).resize((width, height)))


def cropped(image):
    side = image.shape[0]
    return np.array(Image.fromarray(image[2 : side - 3, 4 : side - 1]).resize((side, side)))


WAYS = {
    "copy": lambda image: image.copy(),
    "same picture": jpeg,
    "same picture ": resized,
    "mirrored": lambda image: image[:, ::-1],
    "crop": cropped,
}


@pytest.mark.parametrize("effort", ["thorough", "short"])
def test_every_planted_pair_is_found_and_nothing_else(make_material, effort):
    rng = np.random.default_rng(0)
    originals = [picture(rng) for _ in range(30)]
    planted = [way(image) for way, image in zip(WAYS.values(), originals, strict=False)]
    features = rng.normal(size=(30, 8))
    near = features[: len(planted)] + rng.normal(size=(len(planted), 8)) * 0.05
    splits = ["train"] * 30 + ["test"] * len(planted)
    images, labels = np.stack(originals + planted), [*range(2)] * 15 + [0, 1, 0, 1, 0]
    material, row = make_material(images, labels, np.concatenate([features, near]), splits)
    found = find_duplicates(material, SHORT) if effort == "short" else find_duplicates(material)
    expected = {tuple(sorted((row[n], row[30 + n]))): kind.strip() for n, kind in enumerate(WAYS)}
    assert {tuple(pair): kind for pair, kind in zip(found.pairs.tolist(), found.kinds, strict=True)} == expected
    sizes = np.bincount(found.sets)
    assert sorted(sizes[sizes > 1].tolist()) == [2] * len(WAYS)
    findings = report_duplicates(material, found)
    assert {finding.kind for finding in findings} == {"leak"} and len(findings) == len(WAYS)
    of_train = {material.name(row[n]) for n in range(len(WAYS))}
    assert {finding.id for finding in findings} == of_train  # the test example stays
    assert all(len(finding.others) == 1 and finding.decision == "exclude" for finding in findings)


def test_flat_pictures_are_no_duplicates(make_material):
    images = np.stack([np.full((48, 48, 3), value, np.uint8) for value in range(100, 112)])
    material, _ = make_material(images, [0, 1] * 6, np.ones((12, 4)))
    assert len(find_duplicates(material).pairs) == 0


def test_sets_connect_by_way_of_others():
    assert connected_sets(np.array([[0, 2], [2, 3]]), 5).tolist() == [0, 1, 0, 0, 2]
    assert connected_sets(np.zeros((0, 2), np.int64), 3).tolist() == [0, 1, 2]
    assert joined(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])).tolist() == [0, 0, 0, 1]


def test_the_hash_is_that_of_imagehash():
    imagehash = pytest.importorskip("imagehash")
    rng = np.random.default_rng(0)
    small = np.stack([rng.integers(0, 255, (32, 32), np.uint8)[..., None].repeat(3, axis=2) for _ in range(5)])
    ours = np.unpackbits(perceptual_hashes(small).view(np.uint8).reshape(5, 8), axis=1)
    theirs = [imagehash.phash(Image.fromarray(image), 8, 4).hash.ravel() for image in small]
    np.testing.assert_array_equal(ours.astype(bool), np.stack(theirs))


def test_only_a_real_crop_agrees():
    rng = np.random.default_rng(1)
    first, second = (picture(rng, 64).astype(np.float32).mean(axis=2) for _ in range(2))
    part = np.array(Image.fromarray(first[3:60, 5:63].astype(np.uint8)).resize((64, 64)), np.float32)
    value, detail = best_crop(first, part)
    assert value > 0.95 and detail > 0.75
    assert best_crop(second, part)[0] < 0.8


def test_digits_of_8_pixels_are_no_copies_of_each_other(make_material):
    digits = load_digits()
    images = np.repeat(digits.images[:200, :, :, None] * 15, 3, axis=-1).astype(np.uint8)
    material, _ = make_material(images, digits.target[:200], digits.data[:200])
    for effort in (SHORT, THOROUGH):
        assert not len(find_duplicates(material, effort).pairs)


def test_a_finding_names_the_nearest_of_its_set(make_material):
    rng = np.random.default_rng(0)
    splits = np.array(["train", "validation", "test", "unused"])[rng.integers(0, 4, 40)]
    material, _ = make_material(rng.integers(0, 255, (40, 4, 4, 3)), [0, 1] * 20, rng.normal(size=(40, 2)), splits)
    pairs = np.unique(np.sort(rng.integers(0, 30, (25, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    scores = rng.permutation(len(pairs)) / 100 + 0.5
    duplicates = Duplicates(pairs, ("crop",) * len(pairs), scores, connected_sets(pairs, 40))
    findings = {finding.id: finding for finding in report_duplicates(material, duplicates)}
    used = set(material.used.tolist())
    sets = [set(np.flatnonzero(duplicates.sets == number).tolist()) & used for number in np.unique(duplicates.sets)]
    assert len(findings) == sum(len(rows) - 1 for rows in sets if len(rows) > 1) > 5
    for rows in sets:
        left = [row for row in rows if material.name(row) not in findings]
        assert len(left) == (len(rows) > 0)
        parts = {material.index.splits[row] for row in rows}
        for row in rows - set(left):
            finding = findings[material.name(row)]
            own = [(score, sum(pair) - row) for score, pair in zip(scores, pairs.tolist(), strict=True) if row in pair]
            assert finding.kind == ("leak" if len(parts) > 1 else "duplicate")
            assert (finding.score, finding.others[0]) == (max(own)[0], material.name(max(own)[1]))
            assert f"has {len(rows)} examples" in finding.evidence
