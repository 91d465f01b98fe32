"""A finished run that costs a second: every file of a workdir, and edits of its model file."""

import json
import zipfile
from pathlib import Path

import keras

import tfl
from tfl.data import load_data, make_dataset
from tfl.evaluation import predict, write_predictions
from tfl.evaluation.summary import main_figures, summarize
from tfl.models import HeadSpec, build_classifier, save_model
from tfl.workdir import write_csv, write_json

NAMES, SIZE, TEMPERATURE = ("0", "1", "2"), 32, 1.5


def write_finished_run(run: Path) -> Path:
    """Write a finished run of a network with two layers: every file of a workdir, by what writes it in a run."""
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-2", image_size=SIZE, train_examples_per_class=9),
        finetune=tfl.FinetuneConfig(epochs=2),
    )
    splits = load_data("digits:0-2", train_examples_per_class=9)
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3))
    maps = keras.layers.Conv2D(8, 5, 4, activation="relu")(keras.layers.Rescaling(1 / 128, -1)(image))
    metadata = tfl.Metadata("MobileNetV2", 1.0, SIZE, "multiclass", NAMES, TEMPERATURE)
    model = build_classifier(keras.Model(image, maps), HeadSpec(3), metadata)
    tables = {}
    for split in ("validation", "test"):
        batches = make_dataset(splits.source, getattr(splits, split), image_size=SIZE, batch_size=64)
        tables[split] = predict(model, batches, "multiclass")
    write_json(run / "config.json", config.to_dict())
    splits.index.write_csv(run / "splits.csv")
    write_csv(run / "quarantine.csv", ["path", "reason"], [("a.jpg", "cut short")])
    write_csv(run / "history.csv", ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"],
              [(1, 1.1, 0.4, 1.2, 0.3), (2, 0.9, 0.5, 1.0, 0.4)])  # fmt: skip
    write_predictions(tables["test"], run / "predictions.csv", splits.index.ids, NAMES)
    write_predictions(tables["validation"], run / "validation_predictions.csv", splits.index.ids, NAMES)
    evaluation = summarize(tables["test"], NAMES, temperature=TEMPERATURE, validation=tables["validation"])
    write_json(run / "evaluation.json", evaluation.to_dict())
    validation = tables["validation"].metrics()
    metrics = {
        "test": evaluation.test,
        "validation": validation,
        **main_figures(evaluation),
        "kept": "probe",
        "num_examples": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "phases": {
            "probe": {"l2": 0.1, "path": [{"l2": 0.1, "validation_loss": 1.0}], "validation": validation},
            "finetune": {"unfrozen": "1", "trainable_parameters": 3, "validation": validation},
        },
        "contract": {"evaluate test": {"examples": len(splits.test), "each_once": True}},
    }
    save_model(model, run / "model.keras")
    write_json(run / "export" / "certificate.json", {
        "reference": {"temperature": TEMPERATURE, "max_images": 100, "class_names": list(NAMES)},
        "artefacts": {"model.tflite": {"files": {"model.tflite": "0" * 64}, "bytes": 9, "agreement": 1.0}},
        "rejected": {},
    })  # fmt: skip
    write_json(run / "metrics.json", metrics)
    return run


def edit_archive(file, name, change):
    """Write a `.keras` file again, with one of its files changed."""
    with zipfile.ZipFile(file) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    entries[name] = change(entries[name])
    with zipfile.ZipFile(file, "w") as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)


def edit_metadata(file, **changes):
    """Change both of the places where a model file says what its outputs are."""
    edit_archive(file, "tfl.json", lambda text: json.dumps(json.loads(text) | changes))

    def change(text):
        config = json.loads(text)
        config["config"]["tfl"] |= changes
        return json.dumps(config)

    edit_archive(file, "config.json", change)
