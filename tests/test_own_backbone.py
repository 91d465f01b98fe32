"""A network that keras.applications does not have, registered here, goes the whole way with no line of tfl changed."""

import dataclasses
import json

import pytest
from doc_blocks import code_under, import_code, lines_of
from keras import layers
from option_runs import make_config, write_photos

import tfl
from tfl.backbones import catalog, register_backbone, weights_fingerprint
from tfl.errors import InputError

(CODE,) = code_under("A backbone of your own")


@pytest.fixture(scope="module", autouse=True)
def spec(tmp_path_factory):
    """The specification of the network in the docs, which registers itself when it is imported."""
    import_code(CODE, tmp_path_factory.mktemp("code"), "small_net")
    yield tfl.get_backbone_spec("SmallNet")
    del catalog._BY_NAME["SmallNet"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that pre-trains the network on one folder of photos and uses it on another."""
    folder = tmp_path_factory.mktemp("photos")
    photos, others = (write_photos(folder / name, (16, 16, 16), seed) for seed, name in enumerate("ab"))
    options = {
        "backbone.name": "smallnet",
        "pretrain.source": f"folder:{others}",
        "pretrain.epochs": 2,
        "finetune.epochs": 1,
    }
    return tfl.transfer(make_config(photos, folder / "store", options), folder / "run"), photos


def test_the_code_is_short():
    assert lines_of(CODE) <= 40


def test_it_trains_evaluates_and_reports(run):
    result, photos = run
    assert result.metrics["test"]["accuracy"] > 0.5  # chance is 1/3
    assert tfl.evaluate_workdir(result.workdir)["test"] == result.metrics["test"]
    assert len(tfl.predict_files(result.workdir, [str(photos / "class_0")], "")) == 16
    assert "SmallNet, pre-trained on folder:" in (result.workdir / "report.html").read_text()
    assert "base_model" not in (result.workdir / "MODEL_CARD.md").read_text()  # it is not one of the Hub
    again = tfl.build_backbone("SmallNet", image_size=32, weights=str(result.workdir))
    assert tfl.find_stages(again)[0].layers[-1].name == tfl.find_stages(result.model)[0].layers[-1].name
    certificate = tfl.export_workdir(result.workdir, tfl.ExportOptions(formats=["saved_model"]))
    assert certificate["artefacts"]["saved_model"]["failures"] == []


def test_scripts_know_it_from_the_config_file(run, run_script, tmp_path):
    """The config file registers the network; what works with a finished run needs no registration."""
    _, photos = run
    config = "\n".join(
        (CODE, "from tfl.config import TransferConfig", "", "", "def get_config():", "    return CONFIG")
    )
    options = {"data.image_size": 32, "backbone.name": "SmallNet", "backbone.weights": "none", "features.store": "none"}
    lines = [
        "",
        "",
        "CONFIG = TransferConfig()",
        f'CONFIG.data.source = "folder:{photos}"',
        "CONFIG.report.gallery = 0",
    ]
    lines += [f"CONFIG.{name} = {value!r}" for name, value in options.items()]
    (tmp_path / "own.py").write_text("\n".join((config, *lines, "")))
    trained = run_script("scripts/train.py", f"--config={tmp_path / 'own.py'}", f"--workdir={tmp_path / 'run'}")
    assert trained.returncode == 0, trained.stderr
    evaluated = run_script("scripts/evaluate.py", f"--workdir={tmp_path / 'run'}")
    assert evaluated.returncode == 0, evaluated.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert f"{metrics['test']['accuracy']:.4f}" in evaluated.stdout + evaluated.stderr


def test_it_stands_in_the_table_and_is_built_under_its_name():
    assert tfl.list_backbones("small*") == ["SmallNet"]
    model = tfl.build_backbone("smallnet", weights="none")
    assert model.output.shape == (None, 4, 4, 96)
    assert [stage.resolution for stage in tfl.find_stages(model)] == [32, 16, 8, 4]


@pytest.mark.parametrize("name", ["saved.weights.h5", "saved.keras"])
def test_its_weights_come_from_a_file(name, tmp_path):
    model = tfl.build_backbone("SmallNet", weights="none")
    model.save_weights(tmp_path / name) if name.endswith(".h5") else model.save(tmp_path / name)
    again = tfl.build_backbone("SmallNet", image_size=32, weights=str(tmp_path / name))
    assert weights_fingerprint(again) == weights_fingerprint(model)
    assert weights_fingerprint(tfl.build_backbone("SmallNet", weights="none")) != weights_fingerprint(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            r"`backbone\.weights` must be 'none', a weights file or a tfl workdir for SmallNet, which .*='imagenet'\.$",
        ),
        ({"weights": "none", "image_size": 8}, r"`data\.image_size` must be at least 16 for SmallNet"),
        ({"weights": "none", "alpha": 0.5}, r"`backbone\.alpha` must be 1 for SmallNet"),
    ],
)
def test_options_that_it_does_not_have_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message):
        tfl.build_backbone("SmallNet", **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "vgg16"}, r"`name` must be one that keras\.applications does not use\. Received: 'vgg16'\.$"),
        ({"network": None}, r"`network` must be a function from images to a feature map\. Received: None\.$"),
    ],
)
def test_a_specification_that_cannot_work_is_refused(spec, changes, message):
    with pytest.raises(InputError, match=message):
        register_backbone(dataclasses.replace(spec, **changes))


@pytest.mark.parametrize(
    ("network", "received"),
    [(None, r"\(None, 4, 4, 96\)"), (lambda image: layers.Flatten()(image), r"\(None, 12288\)"), (id, "int")],
)
def test_a_network_that_does_not_give_its_feature_map_is_refused(spec, network, received, monkeypatch):
    monkeypatch.setitem(catalog._BY_NAME, "Other", spec)  # undone after the test
    register_backbone(dataclasses.replace(spec, name="Other", num_features=95, network=network or spec.network))
    with pytest.raises(InputError, match=rf"`network` of Other must .*\(B, h, w, 95\).* Received: {received}\.$"):
        tfl.build_backbone("Other", weights="none")


def test_registered_again_it_replaces_the_earlier_one(spec, monkeypatch):
    monkeypatch.setitem(catalog._BY_NAME, "Again", spec)
    register_backbone(dataclasses.replace(spec, name="Again", image_size=48))
    register_backbone(dataclasses.replace(spec, name="AGAIN", image_size=32))
    assert tfl.list_backbones("again") == ["AGAIN"]
    assert tfl.get_backbone_spec("again").image_size == 32
    del catalog._BY_NAME["AGAIN"]
