"""Files of a finished run that were edited or damaged: refused in one line, or nothing impossible is said."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from finished_run import NAMES, edit_archive, edit_metadata, write_finished_run

import tfl
from tfl.errors import InputError
from tfl.export.publish import open_certificate, publish
from tfl.progress import say
from tfl.report import write_report
from tfl.runs.compare import compare_runs
from tfl.runs.evaluate import evaluate_workdir


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_finished_run(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def run(finished, tmp_path):
    """A copy to edit."""
    return shutil.copytree(finished, tmp_path / "run")


def edit_json(file, *path, value):
    """Change one value; `...` removes it."""
    values = inner = json.loads(file.read_text())
    for name in path[:-1]:
        inner = inner[name]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    file.write_text(json.dumps(values))


def refused(call, *mentioned):
    """Check that a call ends in one line that mentions some words."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    for word in mentioned:
        assert word in message


def test_the_run_is_a_good_one(run, finished):
    assert evaluate_workdir(run)["test"] == pytest.approx(json.loads((run / "metrics.json").read_text())["test"])
    write_report(run)
    assert compare_runs([str(run), str(finished)])[1]["p_value"] == 1.0


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"temperature": 0}, "`temperature` must be a finite number above 0"),
        ({"temperature": -1}, "`temperature` must"),
        ({"temperature": float("nan")}, "not a finite number"),
        ({"temperature": "1"}, "`temperature` must"),
        ({"temperature": True}, "`temperature` must"),
        ({"image_size": 32}, "`image_size` must be that of the model's input, 16"),
        ({"image_size": 16.0}, "`image_size` must be a whole number"),
        ({"target": "multiclas"}, "`target` must be a known name"),
        ({"target": "binary"}, "must be two names for a binary target"),
        ({"class_names": "012"}, "`class_names` must be a list"),
        ({"class_names": ["0", "1", "1"]}, "`class_names` must be different names. Received: '1' twice"),
        ({"class_names": ["0", "1"]}, "`class_names` must fit the model's 3 outputs"),
        ({"class_names": ["a\u0308", "\u00e4", "b"]}, "`class_names` must be different names"),
        ({"class_names": [0, 1, 2]}, "`class_names` must be a list of names"),
        ({"alpha": 0}, "`alpha` must"),
        ({"colour": "red"}, "`metadata` must have the entries"),
        ({"version": "1"}, "`version` of the metadata must be a whole number"),
        ({"version": 1.0}, "`version` of the metadata must"),
        ({"version": True}, "`version` of the metadata must"),
        ({"version": -1}, "`version` of the metadata must"),
    ],
)
def test_metadata_that_no_model_has_is_refused(run, changes, rule):
    edit_metadata(run / "model.keras", **changes)
    refused(lambda: evaluate_workdir(run), rule, "model.keras")
    if "image_size" not in changes and len(changes.get("class_names", NAMES)) == 3:  # what needs the model to be seen
        refused(lambda: write_report(run), rule, "model.keras")


def test_the_two_copies_of_the_metadata_must_agree(run):
    edit_archive(
        run / "model.keras", "tfl.json", lambda text: json.dumps(json.loads(text) | {"class_names": ["2", "1", "0"]})
    )
    for call in (lambda: evaluate_workdir(run), lambda: write_report(run)):
        refused(call, "`tfl.json` must be equal to the metadata", "model.keras")


@pytest.mark.parametrize("values", [{"temperature": -1.0}, {"image_size": 0}, {"class_names": "abc"}])
def test_metadata_is_checked_where_it_is_made(values):
    good = {"backbone": "x", "alpha": 1.0, "image_size": 8, "target": "multiclass", "class_names": ("a", "b", "c")}
    with pytest.raises(InputError, match=f"`{next(iter(values))}` must"):
        tfl.Metadata(**(good | values))


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("data",), 5, "`data` must be a section of options"),
        (("data",), None, "`data` must be a section"),
        (("data", "sauce"), 5, "`sauce` must be an option of DataConfig"),
        (("validate",), 5, "`validate` must be an option"),
        (("data", "batch_size"), "many", "`data.batch_size` must be of type int"),
        (("data", "split"), 0.5, "`data.split` must be of type tuple"),
        (("data", "split"), [0.5, 0.5], "`data.split` must be three"),
        (("task", "name"), "multiclas", "`task.name` must be a known name"),
        (("task", "name"), "regression", "task.name is 'regression', but 'multiclass' in the model"),
        (("backbone", "alpha"), 0.5, "backbone.alpha is 0.5, but 1.0 in the model"),
        (("finetune", "learning_rate"), -1, "`finetune.learning_rate` must be at least"),
    ],
)
def test_a_config_that_no_run_has_is_refused(run, path, value, rule):
    edit_json(run / "config.json", *path, value=value)
    for call in (lambda: evaluate_workdir(run), lambda: write_report(run)):
        refused(call, rule, "config.json")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("{", "[", "Expecting"),
        ('"seed": 0', '"seed": NaN', "not a finite number"),
        ('"seed": 0', '"seed": 1e999', "not a finite number"),
        ('"seed": 0', '"seed": ' + "9" * 30, "not a number of 64 bits"),
        ('"seed": 0', '"seed": 0, "seed": 1', "'seed' occurs twice"),
        ('"seed": 0', '"seed": ' + "[" * 100_000, "recursion"),
    ],
)
def test_json_is_read_as_its_standard_has_it(run, old, new, rule):
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace(old, new, 1))
    refused(lambda: evaluate_workdir(run), rule, "config.json")


def edit_csv(file, change):
    lines = file.read_text().splitlines()
    file.write_text("\n".join(change(lines)) + "\n")


PREDICTIONS = [
    (lambda rows: [*rows, rows[-1]], "occurs twice"),
    (lambda rows: rows[:-1], "it lacks"),
    (lambda rows: [row.rpartition(",")[0] for row in rows], "classes 0, 1"),
    (lambda rows: [rows[0], rows[1].rpartition(",")[0] + ",7", *rows[2:]], "has 7"),
    (lambda rows: [rows[0], rows[1].rpartition(",")[0] + ",-1", *rows[2:]], "has -1"),
    (lambda rows: [rows[0], rows[1].rpartition(",")[0] + ",nan", *rows[2:]], "has nan"),
    (lambda rows: [rows[0], rows[1].rpartition(",")[0] + ",0.99999", *rows[2:]], "add up to"),
    (lambda rows: [rows[0], rows[1] + ",1", *rows[2:]], "row 2 has 7 cells and the header has 6"),
    (lambda rows: [rows[0], rows[1].rpartition(",")[0], *rows[2:]], "row 2 has 5 cells"),
    (lambda rows: [rows[0].replace("label", "lable"), *rows[1:]], "no column 'label'"),
    (lambda rows: [rows[0].replace("p_1", "p_0"), *rows[1:]], "the column 'p_0' twice"),
    (
        lambda rows: [rows[0].replace("p_0", "p_x").replace("p_1", "p_0").replace("p_x", "p_1"), *rows[1:]],
        "its classes",
    ),
    (lambda rows: [rows[0], "x" + rows[1], *rows[2:]], "does not list 'x"),
    (lambda rows: [rows[0], rows[1].replace(",0,", ",1,", 1), *rows[2:]], "but '0' in splits.csv"),
    (lambda rows: [rows[0], '"' + rows[1], *rows[2:]], "unexpected end of data"),
    (lambda rows: [], "no column 'id'"),
]


@pytest.mark.parametrize(("change", "rule"), PREDICTIONS, ids=[rule for _, rule in PREDICTIONS])
def test_predictions_that_no_model_makes_are_refused(run, finished, change, rule):
    edit_csv(run / "predictions.csv", change)
    refused(lambda: write_report(run), rule, "predictions.csv")
    if "classes" not in rule:  # what the model says is needed to see it
        refused(lambda: compare_runs([str(run), str(finished)]), rule, "predictions.csv")


def test_a_table_of_predictions_alone_is_not_taken_for_one_of_another_kind(run, finished, tmp_path):
    shutil.copy(finished / "predictions.csv", tmp_path / "good.csv")
    edit_csv(run / "predictions.csv", lambda rows: [rows[0], rows[1].rpartition(",")[0] + ",0.9", *rows[2:]])
    refused(lambda: compare_runs([str(run / "predictions.csv"), str(tmp_path / "good.csv")]), "add up to")


@pytest.mark.parametrize("place", range(7))
def test_splits_without_a_column_are_refused(run, finished, place):
    def drop(rows):
        cells = [row.split(",") for row in rows]
        return [",".join(row[:place] + row[place + 1 :]) for row in cells]

    edit_csv(run / "splits.csv", drop)
    calls = [lambda: write_report(run), lambda: compare_runs([str(run), str(finished)]), lambda: evaluate_workdir(run)]
    for call in calls[: 2 if place else 3]:
        refused(call, "no column", "splits.csv")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda rows: [*rows, rows[-1]], "occurs twice"),
        (lambda rows: [row.replace(",test,", ",tset,") for row in rows], "has the split 'tset'"),
        (lambda rows: [row.replace(",8,8", ",8,-8") for row in rows], "has the height '-8'"),
    ],
)
def test_splits_that_no_run_has_are_refused(run, change, rule):
    edit_csv(run / "splits.csv", change)
    for call in (lambda: write_report(run), lambda: evaluate_workdir(run)):
        refused(call, rule, "splits.csv")


@pytest.mark.parametrize(
    ("file", "path", "value", "rule"),
    [
        ("metrics", ("test",), [], "test: [] is not of type 'object'"),
        ("metrics", ("test", "accuracy"), 7, "test.accuracy: 7 is greater than the maximum"),
        ("metrics", ("test", "accuracy"), "good", "test.accuracy"),
        ("metrics", ("test", "accuracy"), ..., "test lacks 'accuracy'"),
        ("metrics", ("test", "loss"), -1, "test.loss"),
        ("metrics", ("test", "num_examples"), 3, "test.num_examples is 3"),
        ("metrics", ("num_examples", "train"), 3, "num_examples is not that of splits.csv"),
        ("metrics", ("intervals", "accuracy"), [0.9, 0.1], "intervals.accuracy: 0.9 to 0.1"),
        ("metrics", ("kept",), "both", "kept"),
        ("metrics", ("phases", "probe"), ..., "'probe' is kept, and is not among the phases"),
        ("metrics", ("phases", "probe", "l2"), 0, "phases.probe.l2"),
        ("metrics", ("contract",), None, "contract"),
        ("evaluation", ("temperature",), 0, "temperature"),
        ("evaluation", ("temperature",), 9.0, "temperature is 9.0, the model's 1.5"),
        ("evaluation", ("test", "accuracy"), 0.99, "test.accuracy is 0.99, and in metrics.json"),
        ("evaluation", ("per_class", 0, "class"), "1", "per_class has other classes"),
        ("evaluation", ("per_class", 0, "recall"), 1.5, "per_class.0.recall"),
        ("evaluation", ("per_class",), {}, "per_class"),
        ("evaluation", ("confusion_matrix", 0), [1, 2], "confusion_matrix is not 3 x 3"),
        ("evaluation", ("confusion_matrix", 0, 0), 10**6, "confusion_matrix has"),
        ("evaluation", ("confusion_matrix", 0, 0), -1, "confusion_matrix.0.0"),
        ("evaluation", ("calibration", "after"), ..., "'after' is a required property"),
        ("evaluation", ("calibration", "after", "bins"), 3, "calibration.after.bins"),
        ("evaluation", ("decisions", "conformal", 0, "coverage"), -1, "decisions.conformal.0.coverage"),
        ("export/certificate", ("artefacts", "model.tflite", "files"), [], "artefacts.model.tflite.files"),
        ("export/certificate", ("artefacts", "../../photos"), {"files": {}}, "'../../photos' does not match"),
        ("export/certificate", ("reference",), 3, "reference"),
    ],
)
def test_figures_that_cannot_be_are_refused(run, file, path, value, rule):
    edit_json(run / f"{file}.json", *path, value=value)
    refused(lambda: write_report(run), rule, f"{file}.json")


@pytest.mark.parametrize("leads_to", ["a file", "a folder", "nowhere"])
def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path, leads_to):
    """An export replaces what stands in its place; who linked that to a model elsewhere keeps the model there."""
    target, folder = tmp_path / "elsewhere", tmp_path / "export"
    folder.mkdir()
    if leads_to == "a folder":
        target.mkdir()
        (target / "kept.txt").write_text("kept")
    elif leads_to == "a file":
        target.write_text("kept")
    staged = tmp_path / "staged"
    staged.mkdir()
    (staged / "saved_model").mkdir()
    (staged / "saved_model" / "saved_model.pb").write_bytes(b"new")
    (staged / "model.onnx").write_bytes(b"new")
    for name in ("saved_model", "model.onnx"):
        (folder / name).symlink_to(target)
        certificate = {"reference": {}, "artefacts": {}, "rejected": {}}
        publish(folder, certificate, {"files": {}}, staged / name)
        assert not (folder / name).is_symlink()
    assert (folder / "saved_model" / "saved_model.pb").read_bytes() == (folder / "model.onnx").read_bytes() == b"new"
    if leads_to == "nowhere":
        assert not target.exists()
    else:
        assert (target / "kept.txt" if target.is_dir() else target).read_text() == "kept"


def test_messages_show_no_types_and_no_surrogates():
    name = b"K\xe4fer".decode("utf-8", "surrogateescape")
    message = f"{np.str_(name)!r} {name} {np.str_('a b')!r} {np.float64(0.5)!r} {np.int64(-3)!r} {np.bool_(True)!r}"
    assert "np." in message
    assert str(InputError(message)) == "'K\ufffdfer' K\ufffdfer 'a b' 0.5 -3 True"
    assert str(InputError(repr(np.str_("it's (a)")))) == '"it\'s (a)"'


def test_lines_on_the_screen_show_no_types_and_no_surrogates(capsys):
    say(f"left out: {np.str_('a')!r} {b'K' + bytes([0xE4])!r} {os.fsdecode(b'K' + bytes([0xE4]))}")
    assert capsys.readouterr().err == "left out: 'a' b'K\\xe4' K\ufffd\n"


def test_a_certificate_cannot_lead_out_of_its_folder(run):
    """What a certificate of another model lists is deleted: nothing outside of the folder may be in the list."""
    for name in ("../config.json", "..", "", "/tmp", "a/b"):
        edit_json(run / "export" / "certificate.json", "artefacts", value={name: {"files": {}}})
        refused(lambda: open_certificate(run / "export", {}), "`output` must have a certificate")
    assert (run / "config.json").exists()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda rows: [*rows, rows[-1]], "epoch '1' occurs twice"),
        (lambda rows: [*rows[:2], "2" + rows[2][1:]], "row 3 is of epoch 2"),
        (lambda rows: [rows[0], "2" + rows[1][1:], *rows[2:]], "row 2 is of epoch 2"),
        (lambda rows: [*rows, "2" + rows[-1][1:]], "3 epochs, and finetune.epochs=2"),
        (lambda rows: [rows[0].replace("epoch", "apoch"), *rows[1:]], "no column 'epoch'"),
        (lambda rows: [rows[0], rows[1].replace("0.4", "4.4"), *rows[2:]], "accuracy of epoch 0 is 4.4"),
        (lambda rows: [rows[0], rows[1].replace("1.1", "much"), *rows[2:]], "could not convert"),
    ],
)
def test_a_history_that_no_training_has_is_refused(run, change, rule):
    edit_csv(run / "history.csv", change)
    refused(lambda: write_report(run), rule, "history.csv")


def test_an_earlier_runs_weights_are_refused_where_its_config_is_damaged(run):
    edit_json(run / "config.json", "backbone", value=[])
    with pytest.raises(InputError, match="`backbone` must be a section of options"):
        tfl.build_backbone("MobileNetV2", image_size=32, weights=str(run))


def test_weights_whose_bytes_changed_are_refused(run):
    """Keras reads the weights of an archive without looking at its checksum."""
    content = bytearray((run / "model.keras").read_bytes())
    with zipfile.ZipFile(run / "model.keras") as archive:
        entry = archive.getinfo("model.weights.h5")
    place = entry.header_offset + entry.file_size - 40
    content[place] ^= 1
    (run / "model.keras").write_bytes(content)
    refused(lambda: evaluate_workdir(run), "model.weights.h5 does not match its checksum")
