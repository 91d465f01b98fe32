"""The extractor: what the plain model gives, computed once, found again by content."""

import shutil
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import warm

import tfl
from tfl.data import make_dataset
from tfl.features import Extractor, FeatureStore, View
from tfl.features import extract as room
from tfl.features.digest import digest_of
from tfl.features.installed import has_openvino
from tfl.inputs import ImageInput
from tfl.models.classifier import split_at_features

SIZE = 32
IMAGES = ImageInput(SIZE)
ROOT = Path(__file__).resolve().parents[2]
formats = ["openvino"] if has_openvino() else []


def build(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    backbone = tfl.build_backbone("MobileNetV2", image_size=SIZE, alpha=0.35, weights="none")
    return split_at_features(tfl.build_classifier(backbone, tfl.HeadSpec(3)))[0]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build()


def arrays(count: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8), np.arange(count) % 3


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", max_bytes=10**9)


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many images each call of `make_dataset` was asked to run."""
    counts: list[int] = []
    real = room.make_dataset

    def counting(source, rows, **options):
        counts.append(len(rows))
        return real(source, rows, **options)

    monkeypatch.setattr(room, "make_dataset", counting)
    return counts


def expected(model: keras.Model, splits: tfl.data.Splits, rows: np.ndarray, view: View | None = None) -> np.ndarray:
    how = {} if view is None else {"augmentation": view.augmentation, "seed": view.seed, "epoch": view.number}
    dataset = make_dataset(splits.source, rows, image_size=SIZE, batch_size=32, shuffle=False, **how)
    return np.concatenate([keras.ops.convert_to_numpy(model(batch["input"], training=False)) for batch in dataset])


@pytest.mark.parametrize("stored", [True, False])
def test_features_are_those_of_the_plain_model_row_by_row(model, store, stored):
    splits = tfl.load_data(arrays())
    rows = splits.train[::-1].copy()
    views = [None, View("light", 3, 0), View("light", 3, 1)]
    features = Extractor(model, splits.source, SIZE, store=store if stored else None)(rows, views)
    assert features.ids.tolist() == rows.tolist() * 3
    np.testing.assert_array_equal(features.labels, splits.index.labels[features.ids])
    wanted = np.concatenate([expected(model, splits, rows, view) for view in views])
    np.testing.assert_allclose(np.asarray(features.values), wanted, atol=1e-4 * np.abs(wanted).max())


def test_nothing_is_computed_twice_and_a_changed_pixel_is(model, store, computed):
    images, labels = arrays()
    splits = tfl.load_data((images, labels))
    first = np.asarray(Extractor(model, splits.source, SIZE, store=store)(splits.train).values)
    assert computed == [len(splits.train)]
    again = Extractor(model, splits.source, SIZE, store=FeatureStore(store.root, 10**9))(splits.train)
    np.testing.assert_array_equal(again.values, first)
    assert len(computed) == 1
    row = splits.train[4]
    images[int(splits.index.ids[row]), 0, 0, 0] ^= 255
    changed = tfl.load_data((images, labels))
    third = np.asarray(Extractor(model, changed.source, SIZE, store=store)(changed.train).values)
    assert computed[1:] == [1]
    assert (np.abs(third - first).max(axis=1) > 0).tolist() == [place == 4 for place in range(len(first))]
    Extractor(build(seed=1), splits.source, SIZE, store=store)(splits.train)  # other weights
    Extractor(model, splits.source, SIZE, store=store)(splits.train, [View("light", 0, 0)])
    assert computed[2:] == [len(splits.train)] * 2


@pytest.mark.parametrize("cut", ["block_3_expand", "block_3_project_BN", "block_12_add"])
@pytest.mark.parametrize("runtime", ["tensorflow", *formats])
def test_features_from_stored_activations_are_those_from_the_images(model, store, computed, cut, runtime):
    splits, views = tfl.load_data(arrays()), [None, View("light", 3, 0)]
    direct = Extractor(model, splits.source, SIZE, runtime=runtime)(splits.train, views)
    lower = keras.Model(model.input, model.get_layer(cut).output)
    below = Extractor(lower, splits.source, SIZE, store=store, runtime=runtime)
    below.fill(splits.train, views[1:])
    extractor = Extractor(model, splits.source, SIZE, store=store, runtime=runtime)
    extractor.continue_from(below)
    computed.clear()
    features = extractor(splits.train, views)
    assert computed == [len(splits.train)]  # the plain images, whose activations are not stored
    ours, theirs = np.asarray(features.values), np.asarray(direct.values)
    fused = cut == "block_3_expand"  # the runtime computes a convolution and its BatchNorm together, if it may
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max() if fused else 0)


def test_rounded_activations_are_not_used(model, store, computed):
    splits = tfl.load_data(arrays())
    lower = keras.Model(model.input, model.get_layer("block_12_add").output)
    below = Extractor(lower, splits.source, SIZE, store=store, dtype="float16")
    below.fill(splits.train)
    extractor = Extractor(model, splits.source, SIZE, store=store)
    extractor.continue_from(below)
    computed.clear()
    extractor(splits.train)
    assert computed == [len(splits.train)]


def test_other_weights_sizes_and_graphs_have_other_digests_and_the_same_the_same(model):
    digest = digest_of(model, IMAGES)
    assert digest_of(build(), IMAGES) == digest  # built later in the same process
    frozen = build()
    frozen.trainable = False
    assert digest_of(frozen, IMAGES) == digest
    assert digest_of(build(1), IMAGES) != digest
    assert digest_of(model, ImageInput(SIZE + 1)) != digest
    assert digest_of(keras.Model(model.input, keras.ops.relu(model.output)), IMAGES) != digest
    code = (
        "import keras, tfl; keras.layers.Dense(1); keras.utils.set_random_seed(0);"
        "from tfl.features.digest import digest_of; from tfl.inputs import ImageInput;"
        f"m = tfl.build_backbone('MobileNetV2', image_size={SIZE}, alpha=0.35, weights='none');"
        "from tfl.models.classifier import split_at_features;"
        f"print(digest_of(split_at_features(tfl.build_classifier(m, tfl.HeadSpec(3)))[0], ImageInput({SIZE})))"
    )
    other = warm.run(["-c", code], cwd=ROOT)
    assert other.stdout.strip() == digest, other.stderr


@pytest.mark.parametrize("views", [[None], [View("light", 3, 0), View("light", 3, 1)]])
def test_one_more_photo_computes_that_photo_alone(model, store, computed, views):
    images, labels = arrays(40)
    rows = lambda splits: np.arange(len(splits.index))  # noqa: E731
    before = tfl.load_data((images, labels))
    first = np.asarray(Extractor(model, before.source, SIZE, store=store)(rows(before), views).values)
    more = tfl.load_data((np.concatenate([images[:1] ^ 255, images]), np.concatenate([[0], labels])))  # others move on
    again = np.asarray(Extractor(model, more.source, SIZE, store=store)(rows(more), views).values)
    assert computed == [40] * len(views) + [1] * len(views)
    place = {digest: row for row, digest in enumerate(more.index.sha256)}
    same = np.concatenate([[41 * view + place[digest] for digest in before.index.sha256] for view in range(len(views))])
    np.testing.assert_array_equal(again[same], first)


def test_equal_images_have_equal_views(model, store, computed):
    images, labels = arrays(30)
    images[9] = images[3]
    splits = tfl.load_data((images, labels))
    rows = np.arange(30)
    views = [View("light", 1, 0)]
    stored = np.asarray(Extractor(model, splits.source, SIZE, store=store)(rows, views).values)
    assert computed == [29]
    np.testing.assert_allclose(stored, expected(model, splits, rows, views[0]), atol=1e-4)


@pytest.mark.parametrize("stored", [True, False])
def test_weights_that_change_in_place_give_new_features(store, stored):
    model, splits = build(), tfl.load_data(arrays(30))
    extractor = Extractor(model, splits.source, SIZE, store=store if stored else None)
    rows = np.arange(30)
    first = np.asarray(extractor(rows).values)
    before, kernel = model.get_weights(), model.trainable_variables[-3]
    kernel.assign(kernel * 1.5)
    second = np.asarray(extractor(rows).values)
    wanted = expected(model, splits, rows)
    np.testing.assert_allclose(second, wanted, atol=1e-4 * np.abs(wanted).max())
    assert np.abs(second - first).max() > 1e-2 * np.abs(first).max()
    model.set_weights(before)
    np.testing.assert_allclose(np.asarray(extractor(rows).values), first, atol=1e-6)


def test_a_store_that_another_process_fills_meanwhile_is_left_for_memory(model, store, monkeypatch, capsys):
    splits, rows = tfl.load_data(arrays(30)), np.arange(30)
    full = FeatureStore(store.root, 10**6)
    other = FeatureStore(store.root, 10**9).open("other", (1280,), "float32")
    real = room.make_dataset

    def meanwhile(*arguments, **options):
        if len(other.missing(["0"])):
            other.write([str(n) for n in range(190)], np.zeros((190, 1280), np.float32))
        return real(*arguments, **options)

    monkeypatch.setattr(room, "make_dataset", meanwhile)
    features = Extractor(model, splits.source, SIZE, store=full)(rows)
    assert (
        "not stored, but computed again and kept in memory: `features.max_bytes` must leave" in capsys.readouterr().err
    )
    wanted = expected(model, splits, rows)
    np.testing.assert_allclose(features.values, wanted, atol=1e-4 * np.abs(wanted).max())
    assert full.used_bytes() <= 10**6


def test_equal_images_are_run_once(model, store, computed):
    images, labels = arrays()
    images[3] = images[0]
    splits = tfl.load_data((images, labels))
    rows = np.arange(len(splits.index))
    features = Extractor(model, splits.source, SIZE, store=store)(rows)
    assert computed == [89]
    np.testing.assert_allclose(features.values[:], expected(model, splits, rows), atol=1e-4)


def test_one_pass_fills_the_store_for_all_splits(model, store, computed):
    splits = tfl.load_data(arrays())
    extractor = Extractor(model, splits.source, SIZE, store=store)
    extractor.fill(np.arange(90))
    for rows in (splits.train, splits.validation, splits.test):
        np.testing.assert_allclose(extractor(rows).values[:], expected(model, splits, rows), atol=1e-4)
    assert computed == [90]
    Extractor(model, splits.source, SIZE).fill(np.arange(90))
    assert computed == [90]


def test_without_a_store_memory_serves_what_was_asked_before(model, computed):
    splits = tfl.load_data(arrays())
    extractor = Extractor(model, splits.source, SIZE)
    first = extractor(splits.validation).values
    np.testing.assert_array_equal(extractor(splits.validation).values, first)
    assert computed == [len(splits.validation)]
    extractor(splits.test)
    assert computed == [len(splits.validation), len(splits.test)]


def test_what_has_no_room_is_kept_in_memory(model, tmp_path, capsys):
    splits = tfl.load_data(arrays())
    full = FeatureStore(tmp_path / "full", max_bytes=1000)
    features = Extractor(model, splits.source, SIZE, store=full)(splits.train)
    assert isinstance(features.values, np.ndarray)
    assert "not stored, because features.max_bytes or the disk leaves no room for 3" in capsys.readouterr().err
    assert full.used_bytes() == 0


WORKER = """
import sys, keras, numpy as np, tfl
sys.path.insert(0, sys.argv[2])
from test_extract import SIZE, arrays, build
from tfl.features import Extractor, FeatureStore, extract
extract.SHARD_ROWS = 64
splits = tfl.load_data(arrays(900))
Extractor(build(), splits.source, SIZE, store=FeatureStore(sys.argv[1], 10**9))(np.arange(900))
"""


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*/*.npy")}


@pytest.mark.slow
def test_killed_at_any_moment_the_rerun_gives_the_same_bytes(tmp_path):
    def start(folder: Path) -> warm.Process:
        return warm.Process(["-c", WORKER, folder, Path(__file__).parent], tmp_path / "log")

    assert start(tmp_path / "whole").wait() == 0, (tmp_path / "log").read_text()
    whole = shards(tmp_path / "whole")
    assert len(whole) == 15
    rng = np.random.default_rng(0)
    for _ in range(10):
        if len(shards(tmp_path / "killed")) == len(whole):  # the last kill came too late
            shutil.rmtree(tmp_path / "killed")
        process = start(tmp_path / "killed")
        had = len(shards(tmp_path / "killed"))
        while process.poll() is None and len(shards(tmp_path / "killed")) == had:
            time.sleep(0.01)  # until it has begun to write
        time.sleep(float(rng.uniform(0, 0.15)))
        process.kill()
        process.wait()
        for name, content in shards(tmp_path / "killed").items():
            assert whole[name] == content
    assert start(tmp_path / "killed").wait() == 0
    assert shards(tmp_path / "killed") == whole
