"""A run on pairs of texts, from a table with two columns of texts to exports and the service."""

import dataclasses
import json

import numpy as np
import pytest
from texts import text_config

import tfl
from tfl.checks import check_config, check_data
from tfl.config import set_options
from tfl.errors import InputError
from tfl.recipe.finished import TransferResult

COLUMNS = "text=question,second=reply,label=label"


def write_pairs(path, number=80, seed=0):
    """Write pairs whose label says whether the second text agrees with the first: no text tells it alone."""
    rng = np.random.default_rng(seed)
    rows = ["question,reply,label"]
    for place in range(number):
        first, second = rng.choice(["good", "bad"], 2)
        label = "same" if first == second else "other"
        rows.append(f"the film was {first} {place},a {second} film,{label}")
    rows += ["the film was good,,same"]  # no second text
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> TransferResult:
    """A finished run on pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    config = text_config(f"csv:{write_pairs(folder / 'pairs.csv')}", columns=COLUMNS, image_size=12)
    config = dataclasses.replace(config, head=tfl.HeadConfig(pooling="layers_cls"))
    return tfl.transfer(config, folder / "run")


def test_the_model_has_the_segments_and_keeps_the_rules_of_pairs(run):
    assert run.model.get_layer("embed_segments").embeddings.shape[0] == 2
    assert json.loads(run.model.metadata.tokenizer)["pairs"] is True
    kind = tfl.load_model(run.workdir).metadata.input
    assert kind.prepare("good\tbad").numpy().tolist()[:5] == [2, 8, 3, 9, 3]


def test_a_row_without_a_second_text_is_left_out(run):
    assert "no text" in (run.workdir / "quarantine.csv").read_text()
    assert len((run.workdir / "splits.csv").read_text().splitlines()) == 81


def test_an_evaluation_reads_both_columns_again(run):
    assert tfl.evaluate_workdir(run.workdir)["test"]["accuracy"] == run.metrics["test"]["accuracy"]


def test_files_hold_pairs_with_a_tab_between_them(run, tmp_path):
    (tmp_path / "pair.txt").write_text("the film was good\ta bad film")
    (tmp_path / "single.txt").write_text("the film was good")
    answers = run.predict(tmp_path)
    assert [answer["path"].rpartition("/")[2] for answer in answers] == ["pair.txt"]


def test_every_format_takes_pairs(run):
    exports = tfl.export_workdir(run.workdir)["artefacts"]
    assert all(not entry["failures"] and entry["max_difference"] < 1e-5 for entry in exports.values())
    texts = [b"the film was good\ta bad film", b"a\t", b"good\tbad " * 50]
    artefact, plain = (tfl.load_artefact(run.workdir / place) for place in ("export/saved_model", "model.keras"))
    np.testing.assert_allclose(artefact.predict_bytes(texts), plain.predict_bytes(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data.columns": "text=question,second=answer,label=label"}, "Did you mean 'reply'|must name columns of"),
        ({"data.image_size": 4}, r"`data\.image_size` must be at least 5 for pairs of texts"),
        ({"backbone.name": "MobileNetV2", "data.image_size": 0}, "must not name a second text for MobileNetV2"),
    ],
)
def test_wrong_options_are_refused(run, options, said):
    config = text_config(f"csv:{run.workdir.parent / 'pairs.csv'}", columns=COLUMNS, image_size=12)
    set_options(config, options)
    with pytest.raises(InputError, match=said):
        check_data(check_config(config))
