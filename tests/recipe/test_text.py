"""A run on texts, from a table to metrics, report, evaluation and prediction."""

import csv
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import warm
from doc_blocks import blocks_of
from texts import TINY, text_config, write_table

import tfl
from tfl.checks import check_config
from tfl.config import set_options
from tfl.data import load_data
from tfl.errors import InputError
from tfl.models.metadata import Metadata


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on a table of texts."""
    folder = tmp_path_factory.mktemp("texts")
    table = write_table(folder / "films.tsv", 120)
    return tfl.transfer(text_config(f"csv:{table}"), folder / "run")


def test_the_length_is_chosen_and_recorded(run):
    config = json.loads((run.workdir / "config.json").read_text())
    assert config["data"]["image_size"] == run.model.metadata.image_size == run.model.inputs[0].shape[1] == 12


def test_the_baseline_has_its_interval_and_difference(run):
    baseline = run.metrics["baseline"]
    low, high = baseline["intervals"]["accuracy"]
    assert low < baseline["test"]["accuracy"] <= high
    difference = run.metrics["test"]["accuracy"] - baseline["test"]["accuracy"]
    assert baseline["difference"]["difference"] == pytest.approx(difference)
    assert baseline["difference"]["low"] <= difference <= baseline["difference"]["high"]
    assert baseline["test"]["accuracy"] > 0.6


def test_the_baseline_is_scikit_learns(run):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    splits = load_data(f"csv:{run.workdir.parent / 'films.tsv'}", kind=run.model.metadata.input)
    texts = {}
    with (run.workdir.parent / "films.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for line, row in enumerate(rows, start=2):
        texts[f"films.tsv:{line}"] = row["text"]
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
    ids, labels = splits.index.ids, splits.index.labels
    model = LogisticRegression(C=run.metrics["baseline"]["inverse_strength"], max_iter=1000)
    model.fit(words.fit_transform([texts[name] for name in ids[splits.train]]), labels[splits.train])
    accuracy = model.score(words.transform([texts[name] for name in ids[splits.test]]), labels[splits.test])
    assert run.metrics["baseline"]["test"]["accuracy"] == pytest.approx(accuracy)


def test_the_report_shows_texts_and_the_baseline(run):
    page = (run.workdir / "report.html").read_text(encoding="utf-8")
    assert "Without a network: tf-idf and logistic regression has a test accuracy of" in page
    assert "film number" not in page or "words" in page
    table = list(csv.DictReader((run.workdir / "predictions.csv").open()))
    wrong = [row["id"] for row in table if row["label"] != row["predicted"]]
    lines = (run.workdir.parent / "films.tsv").read_text().splitlines()
    shown = [name for name in wrong if lines[int(name.rpartition(":")[2]) - 1].split("\t")[0] in page]
    assert len(shown) == min(len(wrong), tfl.TransferConfig().report.gallery) > 0


def test_an_evaluation_measures_the_same(run):
    evaluation = tfl.evaluate_workdir(run.workdir)
    assert evaluation["test"]["accuracy"] == run.metrics["test"]["accuracy"]


def test_files_of_texts_are_predicted(run, tmp_path):
    (tmp_path / "a.txt").write_text("the film was good good\n")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00")
    answers = run.predict(tmp_path)
    assert [answer["path"].rpartition("/")[2] for answer in answers] == ["a.txt", "b.txt"]
    assert answers[0]["classes"][0]["class"] == "good"


def test_a_model_needs_no_folder_of_the_network(run, tmp_path):
    shutil.copy(run.workdir / "model.keras", tmp_path / "model.keras")
    kind = tfl.load_model(tmp_path / "model.keras").metadata.input
    assert kind.prepare("goodly film").numpy().tolist()[:6] == [2, 8, 10, 6, 3, 0]


def test_the_same_command_again_reports_the_finished_run(run):
    again = tfl.transfer(text_config(f"csv:{run.workdir.parent / 'films.tsv'}"), run.workdir)
    assert again.metrics["test"] == run.metrics["test"]


def test_a_folder_per_class(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        label = ("good", "bad")[number % 2]
        file = tmp_path / "texts" / label / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(" ".join(rng.choice(["the", "film", label], 5)) + f" {number}")
    result = tfl.transfer(text_config(f"folder:{tmp_path / 'texts'}"), tmp_path / "run")
    assert "baseline" in result.metrics


def test_the_upper_block_is_fine_tuned_on_stored_states(tmp_path):
    config = text_config(f"csv:{write_table(tmp_path / 'films.tsv', 120)}")
    options = {"epochs": 2, "unfreeze": "1", "learning_rate": 3e-3, "optimizer": "adam"}
    set_options(config, {f"finetune.{name}": value for name, value in options.items()})
    result = tfl.transfer(config, tmp_path / "run")
    contract = result.metrics["contract"]["finetune"]
    assert contract["trainable_variables"] == 18  # 16 of the block, and 2 of the head
    assert contract["below_the_cut_frozen_variables"] == 20
    assert contract["below_the_cut_frozen_changed"] == 0
    losses = [float(row["loss"]) for row in csv.DictReader((result.workdir / "history.csv").open())]
    assert losses[-1] < losses[0]


def test_every_format_is_exported_with_a_certificate(run):
    exports = tfl.export_workdir(run.workdir)["artefacts"]
    assert set(exports) == {"model.keras", "saved_model", "model.tflite", "model.onnx"}
    assert all(not entry["failures"] and entry["max_difference"] < 1e-5 for entry in exports.values())
    assert exports["saved_model"]["inputs"] == ["bytes", "pieces"]
    artefact = tfl.load_artefact(run.workdir / "export" / "saved_model")
    texts = [b"the film was good", b"", b"bad " * 5000, "Ünïcödé".encode()]
    plain = tfl.load_artefact(run.workdir / "model.keras")
    np.testing.assert_allclose(artefact.predict_bytes(texts), plain.predict_bytes(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"pretrain.source": "folder:x", "backbone.weights": "none"},
            "`pretrain.source` must be '', because tfl does not pre-train on texts",
        ),
        ({"features.views": 2}, "`features.views` must be 0 without augmentation"),
        ({"data.source": "digits"}, "`data.source` must be csv:FILE or folder:PATH for texts"),
        ({"data.image_size": 13}, "`data.image_size` must be at most 12"),
        ({"backbone.alpha": 0.5}, "`backbone.alpha` must be 1"),
    ],
)
def test_what_is_not_built_for_texts_is_refused(options, said, tmp_path):
    config = text_config(f"csv:{write_table(tmp_path / 'films.tsv')}")
    set_options(config, options)
    with pytest.raises(InputError, match=said):
        check_config(config)


def test_images_have_no_length_to_choose():
    config = tfl.TransferConfig(data=tfl.DataConfig(image_size=-1))
    with pytest.raises(InputError, match=r"`data\.image_size` must be at least 0 for a network that takes images"):
        tfl.transfer(config, "unused")


def test_a_tokenizer_is_stored_in_the_metadata_of_texts_alone():
    photos = Metadata("MobileNetV2", 1.0, 224, "multiclass", ("a", "b"))
    assert "tokenizer" not in photos.to_dict()
    texts = Metadata("hf:x", 1.0, 8, "multiclass", ("a", "b"), kind="text", tokenizer="{}")
    assert Metadata.from_dict(texts.to_dict()) == texts
    assert TINY.exists()


def test_texts_without_a_word_have_no_baseline_and_a_result(tmp_path, capsys):
    rows = [f"{'!' * (1 + place % 3)} ...\t{'ab'[place % 2]}" for place in range(24)]
    (tmp_path / "t.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    result = tfl.transfer(text_config(f"csv:{tmp_path / 't.tsv'}"), tmp_path / "run")
    assert "baseline" not in result.metrics and result.metrics["test"]["num_examples"]
    assert "baseline: left out, because empty vocabulary" in capsys.readouterr().err


def test_the_commands_of_the_page_run_as_they_are_typed(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "text.md"
    block = next(block for block in blocks_of(page) if block.language == "sh")
    write_table(tmp_path / "films.tsv")
    shutil.copytree(TINY, tmp_path / "models" / "minilm")
    (tmp_path / "review.txt").write_text("the film was good")
    answers = []
    for command in block.lines:
        tool, *words = shlex.split(command)
        assert tool == "tfl"
        done = warm.run(["-m", "tfl", *words], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert len(answers) == 3 and "review.txt" in answers[1] and '"accuracy"' in answers[2]
