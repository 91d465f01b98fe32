"""`head.pooling=auto`: tfl chooses by cross-validation which hidden states stand for a text."""

import dataclasses
import json

import numpy as np
import pytest
from texts import text_config, write_table

import tfl
from tfl.build import checked_run, load_splits
from tfl.checks import check_config
from tfl.config import STATE_POOLINGS
from tfl.data import Splits
from tfl.errors import InputError
from tfl.recipe.extraction import frozen_features
from tfl.recipe.pooling import choose_features
from tfl.workdir import read_config


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("films") / "films.tsv", 120)


def config_of(table, pooling="auto", **options):
    config = text_config(f"csv:{table}", **options)
    return dataclasses.replace(
        config,
        head=tfl.HeadConfig(pooling=pooling),
        features=tfl.FeaturesConfig(store=str(table.parent / "store")),
    )


@pytest.fixture(scope="module")
def run(table):
    return tfl.transfer(config_of(table), table.parent / "run")


def recorded(run):
    return json.loads((run.workdir / "config.json").read_text())["head"]["pooling"]


def test_the_choice_is_recorded_and_leaves_no_trace(run, table):
    chosen = recorded(run)
    assert chosen in STATE_POOLINGS
    named = tfl.transfer(config_of(table, chosen), table.parent / "named")
    assert named.metrics["test"] == run.metrics["test"]
    again = tfl.transfer(config_of(table), table.parent / "run")
    assert again.metrics == run.metrics


def test_one_pass_over_the_texts_gives_all(table, tmp_path, capsys):
    own = tmp_path / "films.tsv"
    own.write_text(table.read_text())
    result = tfl.transfer(config_of(own), tmp_path / "run")
    said = capsys.readouterr().err
    assert all(said.count(f"head.pooling={pooling}: accuracy") == 1 for pooling in STATE_POOLINGS)
    assert f"head.pooling={recorded(result)}, because its head has the best accuracy on held-out folds" in said


@pytest.mark.parametrize("kind", ["avg", "layers", "layers_cls"])
def test_features_that_the_choice_has_stored_are_not_computed_again(table, tmp_path, monkeypatch, kind):
    from tfl.features import extract
    from tfl.recipe import pooling

    own = tmp_path / "films.tsv"
    own.write_text(table.read_text())
    make, best, read = extract.make_dataset, pooling._best, []

    def watched(source, rows, **options):
        read.extend(rows.tolist())
        return make(source, rows, **options)

    def choose(config, splits, most):
        best(config, splits, most)
        return kind

    monkeypatch.setattr(extract, "make_dataset", watched)
    monkeypatch.setattr(pooling, "_best", choose)
    result = tfl.transfer(config_of(own), tmp_path / "run")
    assert recorded(result) == kind
    assert sorted(read) == sorted(set(read))


def test_the_test_split_chooses_nothing(table, tmp_path, monkeypatch):
    from tfl.recipe import pooling

    config = checked_run(config_of(table), tmp_path / "run")
    seen, solve = [], pooling.predict_held_out

    def watched(values, rows, config, splits, folds):
        seen.append(rows)
        return solve(values, rows, config, splits, folds)

    monkeypatch.setattr(pooling, "predict_held_out", watched)
    splits = load_splits(config)
    choose_features(config, splits)
    assert len(seen) == len(STATE_POOLINGS) and not np.isin(np.concatenate(seen), splits.test).any()


def test_a_class_with_few_texts_leaves_the_mean_of_the_last_states(tmp_path, capsys):
    (tmp_path / "t.tsv").write_text(
        "text\tlabel\n" + "".join(f"film {n} {'ab'[n % 2]}\t{'ab'[n % 2]}\n" for n in range(8))
    )
    config = config_of(tmp_path / "t.tsv")
    splits = load_splits(config)
    assert isinstance(splits, Splits)
    assert choose_features(config, splits).head.pooling == "avg"
    assert "head.pooling=avg, because cross-validation cannot choose: " in capsys.readouterr().err


def test_the_top_block_is_fine_tuned_from_several_layers(table, tmp_path):
    config = config_of(table, "layers_cls")
    config.finetune = tfl.FinetuneConfig(epochs=2, unfreeze="1", learning_rate=3e-3, batch_norm="frozen")
    result = tfl.transfer(config, tmp_path / "run")
    contract = result.metrics["contract"]["finetune"]
    assert contract["trainable_variables"] == 18  # 16 of the block, and 2 of the head
    assert (
        result.model.get_layer("head_logits").kernel.shape[0]
        == 3 * result.model.get_layer("block1_norm").gamma.shape[0]
    )


def test_all_formats_have_the_same_features(run):
    exports = tfl.export_workdir(run.workdir)["artefacts"]
    assert set(exports) == {"model.keras", "saved_model", "model.tflite", "model.onnx"}
    assert all(not entry["failures"] and entry["max_difference"] < 1e-5 for entry in exports.values())


@pytest.mark.parametrize("pooling", ["max", "gem"])
def test_poolings_of_maps_are_refused_for_texts(table, pooling):
    with pytest.raises(InputError, match=r"`head\.pooling` must be one of avg, cls, layers, layers_cls, auto for hf:"):
        check_config(config_of(table, pooling))


@pytest.mark.parametrize("pooling", ["cls", "layers", "layers_cls", "auto"])
def test_states_are_refused_for_images(pooling):
    config = tfl.TransferConfig(head=tfl.HeadConfig(pooling=pooling))
    with pytest.raises(InputError, match=r"`head\.pooling` must be one of avg, max, gem for MobileNetV2"):
        check_config(config)


def test_the_head_on_real_texts_is_scikit_learns(shared, tmp_path):
    """On the same features and at the same λ; a head for two classes has twice the penalty of one logit."""
    from sklearn.linear_model import LogisticRegression

    texts = {name: (shared / "data" / "text_sst2" / f"{name}.tsv").read_text("utf-8") for name in ("train", "test")}
    for name, text in texts.items():
        (tmp_path / f"{name}.tsv").write_text("\n".join(text.splitlines()[:500]) + "\n", encoding="utf-8")
    config = config_of(tmp_path / "train.tsv", "layers_cls", columns="text=#1,label=#2", image_size=40)
    config.data.source += f",csv:{tmp_path / 'test.tsv'}"
    config.backbone.name = f"hf:{shared / 'weights' / 'hf_paraphrase_minilm_l3'}"
    result = tfl.transfer(config, tmp_path / "run")
    config = read_config(result.workdir)
    splits = load_splits(config)
    features = frozen_features(config, splits)
    values, labels = np.asarray(features.values[:]), features.labels
    strength = 1 / (result.metrics["phases"]["probe"]["l2"] * len(splits.train))
    model = LogisticRegression(C=strength, max_iter=2000).fit(values[splits.train], labels[splits.train])
    accuracy = model.score(values[splits.test], labels[splits.test])
    assert len(splits.test) == 500 and values.shape[1] == 4 * 384
    assert accuracy > 0.65 and result.metrics["test"]["accuracy"] == pytest.approx(accuracy, abs=0.01)
