"""A SavedModel that does more than compute is refused before anything of it runs."""

import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from tfl.errors import InputError
from tfl.export import Product, certify, load_artefact, write_saved_model
from tfl.export.operations import check_operations, only_computes

EVIL = ("WriteFile", "ReadFile", "MatchingFiles", "PrintV2", "EagerPyFunc", "PyFuncStateless", "SaveV2", "RestoreV2")
EVIL += (
    "InitializeTableFromTextFileV2",
    "ImmutableConst",
    "DebugIdentity",
    "Abort",
    "NoSuchOperation",
    "FileSystemSetConfiguration",
)
GOOD = ("Conv2D", "MatMul", "Softmax", "Erf", "ResizeBilinear", "DecodeJpeg", "While", "Const", "Pow", "ReadVariableOp")


def written(path):
    tf.io.write_file(str(path), "written")
    return tf.constant(1)


def write_file(path):
    return lambda pixels: written(path)


def in_a_branch(path):
    return lambda pixels: tf.cond(tf.reduce_any(pixels > 0), lambda: written(path), lambda: 0)


def in_a_loop(path):
    return lambda pixels: tf.while_loop(lambda n: n < 2, lambda n: (n + written(path),), (0,))


def in_a_function_of_a_function(path):
    inner = tf.function(lambda: written(path))
    return lambda pixels: tf.function(lambda: inner())()


def read_file(path):
    return lambda pixels: tf.strings.length(tf.io.read_file("/etc/hostname"))


def print_to_file(path):
    return lambda pixels: tf.print("written", output_stream=f"file://{path}")


def run_python(path):
    return lambda pixels: tf.py_function(lambda: path.write_text("written"), [], tf.int64)


@pytest.fixture
def genuine(tmp_path, make_model) -> Path:
    model = make_model()
    write_saved_model(model, model.metadata, tmp_path / "genuine")
    return tmp_path / "genuine"


@pytest.mark.parametrize(
    "action", [write_file, in_a_branch, in_a_loop, in_a_function_of_a_function, read_file, print_to_file, run_python]
)
def test_a_graph_that_touches_files_or_runs_python_is_refused(action, tmp_path, genuine, make_model, refer):
    """The folder is a genuine export whose graph was exchanged for one with the same signatures."""
    act = action(tmp_path / "harm")

    def serve(pixels):
        act(pixels)
        return {"probabilities": tf.zeros((tf.shape(pixels)[0], 3))}

    module, spec = tf.Module(), tf.TensorSpec((None, 32, 32, 3), tf.uint8, name="pixels")
    function = tf.function(serve, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "evil"), {"serving_pixels": function, "serving_bytes": function})
    shutil.copytree(genuine / "assets", tmp_path / "evil" / "assets", dirs_exist_ok=True)
    (tmp_path / "harm").unlink(missing_ok=True)  # tracing may have written it
    with pytest.raises(InputError, match=r"must be a SavedModel that only computes.*with the operation"):
        load_artefact(tmp_path / "evil")
    entry = certify(Product(tmp_path / "evil", "saved_model"), refer(make_model()), timed=False)
    assert "only computes" in entry["failures"][0]
    assert not (tmp_path / "harm").exists()


def test_what_runs_at_loading_is_looked_at_too(tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("a\nb\n")
    module = tf.Module()
    initializer = tf.lookup.TextFileInitializer(
        str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module.table = tf.lookup.StaticHashTable(initializer, -1)
    tf.saved_model.save(module, str(tmp_path / "table"))
    with pytest.raises(InputError, match="with the operation"):
        check_operations(tmp_path / "table")


def test_a_file_that_is_no_saved_model_is_one_line(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff not a protocol buffer")
    with pytest.raises(InputError, match="undamaged SavedModel"):
        check_operations(tmp_path)


def test_our_own_export_passes(genuine):
    check_operations(genuine)


def test_operations_are_told_apart():
    assert [name for name in GOOD if not only_computes(name)] == []
    assert [name for name in EVIL if only_computes(name)] == []
