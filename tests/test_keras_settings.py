"""Settings of Keras that tfl cannot work with are refused in one line, before Keras or TensorFlow is imported."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import tfl
from tfl import HeadSpec, build_backbone, build_classifier, load_model, transfer  # before the settings change
from tfl.errors import InputError
from tfl.keras_settings import check_keras_settings

ROOT = Path(__file__).resolve().parent.parent
CASES = {
    "jax": (
        {"KERAS_BACKEND": "jax"},
        {},
        "`backend` of Keras must be 'tensorflow'. Received: 'jax', from KERAS_BACKEND.",
    ),
    "jax in the file": ({}, {"backend": "jax"}, "Received: 'jax', from "),
    "channels": ({}, {"image_data_format": "channels_first"}, "`image_data_format` of Keras must be 'channels_last'."),
    "numbers": ({}, {"floatx": "float64"}, "`floatx` of Keras must be 'float32'. Received: 'float64', from "),
}


@pytest.mark.parametrize("name", CASES)
def test_a_script_ends_at_once_with_one_line(name: str, tmp_path: Path) -> None:
    variables, settings, message = CASES[name]
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = {"KERAS_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, ROOT / "scripts" / "report.py", f"--workdir={tmp_path}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if name == "jax in the file":  # scripts choose the backend themselves
        command = [sys.executable, "-c", "import tfl; tfl.transfer"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 1 and message in done.stderr.splitlines()[-1]
    else:
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_what_is_set_later_is_refused_by_a_run(tmp_path: Path) -> None:
    check_keras_settings()
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(InputError, match="`image_data_format` of Keras"):
            tfl.transfer(tfl.TransferConfig(), tmp_path / "run")
    finally:
        keras.config.set_image_data_format("channels_last")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: transfer(tfl.TransferConfig(), folder / "run"),
        lambda folder: build_backbone("MobileNetV2", weights="none"),
        lambda folder: build_classifier(keras.Sequential(), HeadSpec(num_outputs=2)),
        lambda folder: load_model(folder / "model.keras"),
    ],
    ids=["transfer", "build_backbone", "build_classifier", "load_model"],
)
def test_a_policy_for_all_layers_is_refused_before_any_is_made(make, tmp_path: Path) -> None:
    """The names were imported before the policy was set: the functions themselves check it."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(
            InputError, match=r"`dtype_policy` of Keras must be 'float32'.*'mixed_bfloat16'.*`precision`"
        ):
            make(tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert not any(tmp_path.iterdir())
