"""A run on audio clips, from files to metrics, report, evaluation, prediction, export and service."""

import csv
import json
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
import warm
from clips import audio_config, ears, speech_config, wav, write_speech
from doc_blocks import blocks_of
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tfl
from tfl.backbones.audio.front import log_mel
from tfl.checks import check_config
from tfl.config import set_options
from tfl.data import load_data
from tfl.errors import InputError
from tfl.recipe.plain import shrink

NAMED = {"label_pattern": "([a-z]+)_", "group_pattern": "_([a-z]+)_"}


@pytest.fixture(scope="module", autouse=True)
def networks():
    """Know the tiny network in all tests of this file."""
    with ears():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of six speakers at 8,000 Hz, and three files that cannot be used."""
    clips = write_speech(tmp_path_factory.mktemp("speech") / "clips", rate=8000)
    (clips / "low_anna_90.wav").write_bytes(b"")
    (clips / "low_anna_91.wav").write_text("a text")
    (clips / "low_anna_92.wav").write_bytes((clips / "low_anna_0.wav").read_bytes()[:300])
    return clips


@pytest.fixture(scope="module")
def run(folder):
    """A finished run with speakers as groups."""
    return tfl.transfer(speech_config(folder), folder.parent / "run")


def test_the_length_is_chosen_and_recorded(run):
    config = json.loads((run.workdir / "config.json").read_text())
    assert config["data"]["image_size"] == run.model.metadata.image_size == run.model.inputs[0].shape[1] == 1600


def test_a_speaker_is_in_one_split(run):
    with (run.workdir / "splits.csv").open() as file:
        rows = list(csv.DictReader(file))
    splits = {speaker: {row["split"] for row in rows if f"_{speaker}_" in row["id"]} for speaker in ("anna", "fred")}
    assert len(rows) == 72 and all(len(found) == 1 for found in splits.values())
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert run.metrics["num_groups"] >= 1


def test_broken_files_are_named(run):
    text = (run.workdir / "quarantine.csv").read_text()
    assert len(text.splitlines()) == 4
    assert all(reason in text for reason in ("an empty file", "not an audio file", "truncated WAV file"))


def test_the_baseline_is_computed_again_with_scikit_learn(run, folder):
    found = run.metrics["baseline"]
    splits = load_data(f"folder:{folder}", kind=run.model.metadata.input, **NAMED)
    samples = keras.Input((1600,))
    spectrogram = keras.Model(samples, log_mel(samples))

    def pictures(rows):
        raws = splits.source.examples(rows).as_numpy_iterator()
        waves = [splits.source.kind.sized(1600).prepare(raw["input"]).numpy() for raw in raws]
        lengths = splits.index.facts["samples"][rows]
        bands = spectrogram.predict(np.stack(waves), verbose=0)[..., 0]
        return [shrink(b[: 1 + (n - 400) // 160], 14).ravel() for b, n in zip(bands, lengths, strict=True)]

    model = make_pipeline(StandardScaler(), LogisticRegression(C=found["inverse_strength"], max_iter=500, tol=1e-3))
    model.fit(pictures(splits.outside_of_test), splits.index.labels[splits.outside_of_test])
    score = model.score(pictures(splits.test), splits.index.labels[splits.test])
    assert found["test"]["accuracy"] == pytest.approx(score)
    assert found["method"] == "a log-mel picture of 14 x 14 and logistic regression"
    assert found["difference"]["difference"] == pytest.approx(run.metrics["test"]["accuracy"] - score)


def test_shrinking_keeps_the_mean():
    picture = np.random.default_rng(0).normal(size=(7, 64))
    assert shrink(picture, 14).mean() == pytest.approx(picture.mean())
    np.testing.assert_allclose(shrink(picture[:, :28], 7), picture[:, :28].reshape(7, 7, 4).mean(-1))


def test_the_report_tells_the_baseline(run):
    page = (run.workdir / "report.html").read_text(encoding="utf-8")
    assert "Without a network: a log-mel picture of 14 x 14 and logistic regression has a test accuracy of" in page


def test_an_evaluation_measures_the_same(run):
    evaluation = tfl.evaluate_workdir(run.workdir)
    assert evaluation["test"]["accuracy"] == run.metrics["test"]["accuracy"]


def test_an_answer_does_not_depend_on_the_neighbours_in_the_batch(run):
    quiet, loud = np.float32(np.sin(np.arange(1600) / 9) * 0.01), np.ones(1600, np.float32)
    alone = run.model(quiet[None]).numpy()
    for others in ([loud], [np.zeros(1600, np.float32)], [loud] * 15):
        np.testing.assert_allclose(run.model(np.stack([quiet, *others])).numpy()[:1], alone, atol=1e-5)


def test_a_folder_per_class_without_groups_warns(folder, tmp_path, capsys):
    for file in folder.glob("*_[0-3].wav"):
        place = tmp_path / "clips" / file.name.partition("_")[0] / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    load_data(f"folder:{tmp_path / 'clips'}", kind="audio")
    said = capsys.readouterr().err
    assert "a random split flatters the result: data.group_pattern=" in said
    load_data(f"folder:{tmp_path / 'clips'}", kind="audio", group_pattern="_([a-z]+)_")
    assert "flatters" not in capsys.readouterr().err


def test_clips_that_are_cut_off_are_counted(folder, tmp_path, capsys):
    tfl.transfer(speech_config(folder, image_size=1000), tmp_path / "run")
    said = capsys.readouterr().err
    assert "clips for training is cut off: they are longer than 1,000 samples (0.0625 s)" in said


def test_every_format_is_exported_with_a_certificate(run):
    exports = tfl.export_workdir(run.workdir)["artefacts"]
    assert set(exports) == {"model.keras", "saved_model", "model.tflite", "model.onnx"}
    assert all(not entry["failures"] and entry["max_difference"] < 1e-5 for entry in exports.values())
    assert exports["saved_model"]["inputs"] == ["bytes", "waveforms"]
    artefact = tfl.load_artefact(run.workdir / "export" / "saved_model")
    wave = np.round(np.sin(np.arange(1600) / 9) * 9000).astype(np.int16)
    clips = [wav(wave), wav(wave[:700]), wav(np.stack([wave, wave], 1)), wav(wave, 8000), wav(np.float32(wave / 2**15))]
    plain = tfl.load_artefact(run.workdir / "model.keras")
    np.testing.assert_allclose(artefact.predict_bytes(clips), plain.predict_bytes(clips), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data.source": "digits"}, r"`data\.source` must be csv:FILE or folder:PATH for clips"),
        ({"data.image_size": 960_001}, r"`data\.image_size` must be between 0 and 960000"),
        ({"data.image_size": 63}, r"`data\.image_size` must be at least 64"),
        ({"backbone.alpha": 0.5}, r"`backbone\.alpha` must be 1"),
    ],
)
def test_what_is_not_built_for_clips_is_refused(options, said, folder):
    config = audio_config(f"folder:{folder}")
    set_options(config, options)
    with pytest.raises(InputError, match=said):
        check_config(config)


def test_an_image_has_at_most_4096_pixels_per_side():
    with pytest.raises(InputError, match=r"`data\.image_size` must be at most 4096 for MobileNetV2"):
        check_config(tfl.TransferConfig(data=tfl.DataConfig(image_size=4097)))


def test_the_network_is_fine_tuned_on_augmented_clips(folder, tmp_path):
    config = speech_config(folder, augmentation="light", image_size=1600)
    set_options(config, {"finetune.epochs": 2, "finetune.unfreeze": "all", "finetune.optimizer": "adam"})
    result = tfl.transfer(config, tmp_path / "run")
    losses = [float(row["loss"]) for row in csv.DictReader((result.workdir / "history.csv").open())]
    assert losses[-1] < losses[0]
    assert result.metrics["contract"]["finetune"]["trainable_variables"] == 4


def test_the_commands_of_the_page_run_as_they_are_typed(shared, tmp_path):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "audio.md"
    block = next(block for block in blocks_of(page) if block.language == "sh")
    write_speech(tmp_path / "clips", takes=2)
    (tmp_path / "models").mkdir()
    weights = shared / "weights" / "audio_yamnet_256" / "yamnet_256_arrays.npz"
    (tmp_path / "models" / "yamnet.npz").write_bytes(weights.read_bytes())
    (tmp_path / "new.wav").write_bytes((tmp_path / "clips" / "low_anna_0.wav").read_bytes())
    answers = []
    for command in block.lines:
        tool, *words = shlex.split(command)
        assert tool == "tfl"
        done = warm.run(["-m", "tfl", *words], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert len(answers) == 3 and "new.wav" in answers[1] and '"accuracy"' in answers[2]
