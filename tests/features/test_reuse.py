"""Training above a cut on stored activations is ordinary training, to rounding."""

import dataclasses

import keras
import numpy as np
import pytest

import tfl
from tfl.features import Extractor, StoredPhase, View, extract, is_worth_storing, make_feature_dataset
from tfl.features.view import PLAIN
from tfl.models.cuts import split_frozen

SIZE = 64


def classifier(name: str, unfreeze: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone(name, image_size=SIZE, weights="none")
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3))
    tfl.unfreeze(model, unfreeze)
    tfl.regularize(model, head_l2=1e-3, l2_sp=1e-2)
    return model


@pytest.fixture(scope="module")
def splits() -> tfl.data.Splits:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 120, (60, SIZE, SIZE, 3)) + 60 * labels[:, None, None, None]
    return tfl.load_data((images.astype(np.uint8), labels))


@pytest.mark.parametrize(("name", "unfreeze"), [("MobileNetV2", "1"), ("MobileNetV2", "block_14_add"), ("VGG16", "0")])
def test_weights_equal_those_of_the_uncut_model(splits, name, unfreeze):
    def train(cut: bool) -> keras.Model:
        model = classifier(name, unfreeze)
        trained, feed = model, None
        if cut:
            halves = split_frozen(model)
            trained = halves.upper
            extractor = Extractor(halves.lower, splits.source, SIZE)
            feed = StoredPhase(extractor, splits.train, PLAIN, 16, 5)
        else:
            feed = lambda epoch: tfl.make_dataset(  # noqa: E731
                splits.source, splits.train, image_size=SIZE, batch_size=16, seed=5, epoch=epoch
            )
        tfl.compile(trained, tfl.make_optimizer("sgd", 1e-2))
        tfl.fit(trained, feed, epochs=2, seed=5, verbose=False)
        return model

    start, whole, cut = classifier(name, unfreeze), train(cut=False), train(cut=True)
    moved = 0.0
    for before, ours, theirs in zip(start.get_weights(), cut.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        moved = max(moved, np.abs(theirs - before).max())
    assert moved > 1e-3


def test_epochs_walk_through_the_views_in_the_order_of_the_images(splits):
    lower = split_frozen(classifier("MobileNetV2", "0")).lower
    extractor = Extractor(lower, splits.source, SIZE)
    views = [View("light", 0, 0), View("light", 0, 1)]
    stored = StoredPhase(extractor, splits.train, views, 16, 0)
    for epoch in (0, 1, 2):
        images = tfl.make_dataset(splits.source, splits.train, image_size=SIZE, batch_size=16, seed=0, epoch=epoch)
        ids = np.concatenate([batch["id"] for batch in images])
        values = np.concatenate([batch["input"] for batch in stored(epoch)])
        np.testing.assert_array_equal(np.concatenate([batch["id"] for batch in stored(epoch)]), ids)
        expected = extractor(ids, [views[epoch % 2]]).values
        np.testing.assert_allclose(values, expected, atol=1e-5)


def test_feature_batches_hold_every_row_once_and_the_last_is_short(splits):
    features = Extractor(split_frozen(classifier("MobileNetV2", "0")).lower, splits.source, SIZE)(splits.train)
    batches = list(make_feature_dataset(features, np.arange(len(features)), 16))
    assert [len(batch["id"]) for batch in batches] == [16, 16, 10]
    np.testing.assert_array_equal(np.concatenate([batch["input"] for batch in batches]), features.values)


def test_storing_is_refused_where_there_is_no_room_and_decided_by_cost(splits, tmp_path, monkeypatch, capsys):
    lower = split_frozen(classifier("MobileNetV2", "1")).lower
    rows = {"train": splits.train, "validation": splits.validation}
    tight = Extractor(lower, splits.source, SIZE, store=tfl.FeatureStore(tmp_path / "a", 1000))
    assert not is_worth_storing(tight, rows, views=1, epochs=9)
    assert "the store has no room" in capsys.readouterr().err
    extractor = Extractor(lower, splits.source, SIZE, store=tfl.FeatureStore(tmp_path / "b", 10**9))
    monkeypatch.setattr("tfl.features.reuse._seconds_per_image", lambda *_: (1e-2, 1e-4))
    assert is_worth_storing(extractor, rows, views=0, epochs=3)
    assert not is_worth_storing(extractor, rows, views=0, epochs=1)
    assert "runs in every epoch" in capsys.readouterr().err
    monkeypatch.setattr("tfl.features.reuse._seconds_per_image", lambda *_: pytest.fail("a result depends on a clock"))
    assert is_worth_storing(extractor, rows, views=3, epochs=2)  # with other images, training would end elsewhere


def config(tmp_path, **sections) -> tfl.TransferConfig:
    return tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-2", image_size=32, train_examples_per_class=20, augmentation="none"),
        backbone=tfl.BackboneConfig(alpha=0.35, weights="none"),
        features=tfl.FeaturesConfig(store=str(tmp_path / "store")),
        finetune=tfl.FinetuneConfig(epochs=2, unfreeze="1", layer_decay=0.5, learning_rate=1e-3),
        **sections,
    )


def test_a_run_above_a_cut_ends_like_the_run_without(tmp_path, monkeypatch):
    monkeypatch.setattr("tfl.recipe.finetune.is_worth_storing", lambda *_, **__: True)
    cut = tfl.transfer(config(tmp_path), tmp_path / "cut")
    monkeypatch.setattr("tfl.recipe.finetune.is_worth_storing", lambda *_, **__: False)
    whole = tfl.transfer(config(tmp_path), tmp_path / "whole")
    for ours, theirs in zip(cut.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)  # Adam divides rounding by rounding
    ours, theirs = (run.metrics["contract"]["finetune"] for run in (cut, whole))
    assert ours["learning_rate_ratios"].keys() and ours["steps"] == theirs["steps"]
    assert ours["frozen_variables"] + ours["below_the_cut_frozen_variables"] >= theirs["frozen_variables"]
    assert ours["penalty"] == pytest.approx(theirs["penalty"], rel=1e-3)


def test_views_are_seen_by_the_head_and_by_fine_tuning(tmp_path, monkeypatch):
    monkeypatch.setattr("tfl.recipe.finetune.is_worth_storing", lambda *_, **__: True)
    options = config(tmp_path)
    options.data = dataclasses.replace(options.data, augmentation="shift")
    options.features = dataclasses.replace(options.features, views=2)
    result = tfl.transfer(options, tmp_path / "w")
    assert result.metrics["contract"]["finetune"]["below_the_cut_frozen_changed"] == 0
    store = tfl.FeatureStore(tmp_path / "store", 10**9)
    keys = sum(len(np.load(path, mmap_mode="r")) for path in store.root.glob("*-1280-*/*.npy"))
    assert keys == 3 * 60 + result.metrics["num_examples"]["validation"] + result.metrics["num_examples"]["test"]


def test_each_version_of_an_image_is_read_once_for_both_phases(tmp_path, monkeypatch):
    options, asked = config(tmp_path), []
    options.data = dataclasses.replace(options.data, augmentation="shift")
    options.features = dataclasses.replace(options.features, views=2)
    real = extract.make_dataset
    monkeypatch.setattr(
        extract,
        "make_dataset",
        lambda *given, **how: asked.append((len(given[1]), how.get("epoch"))) or real(*given, **how),
    )
    result = tfl.transfer(options, tmp_path / "w")
    train = result.metrics["num_examples"]["train"]
    assert [one for one in asked if one[1] is not None] == [(train, 0), (train, 1)]
    monkeypatch.setattr("tfl.recipe.probe.continue_from_below", lambda *_: None)
    options.features = dataclasses.replace(options.features, store=str(tmp_path / "other"))
    again = tfl.transfer(options, tmp_path / "again")
    for ours, theirs in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_cross_validation_solves_on_train_and_validation(tmp_path):
    options = config(tmp_path, probe=tfl.ProbeConfig(folds=3))
    options.finetune = tfl.FinetuneConfig()
    metrics = tfl.transfer(options, tmp_path / "w").metrics
    seen = metrics["num_examples"]["train"] + metrics["num_examples"]["validation"]
    assert metrics["validation"]["num_examples"] == seen and 0 <= metrics["validation"]["accuracy"] <= 1
    assert metrics["phases"]["probe"]["folds"] == 3
