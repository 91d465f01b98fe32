"""What is read of a file of torch, and when: shapes to find a network, arrays once to fill it. Pickles need torch."""

import json
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_torch_files import build, state_of

from tfl.backbones.torch_files.known import find_network
from tfl.backbones.torch_files.state import open_arrays, read_shapes
from tfl.errors import InputError

TERABYTE = 2**40
MEGABYTE = 2**20


def write_with_hole(file: Path, state: dict[str, np.ndarray], name: str, size: int) -> None:
    """Write a safetensors file with one array of `size` bytes that takes no place on the disk: a hole."""
    entries, place = {}, 0
    for key, values in state.items():
        entries[key] = {"dtype": "F32", "shape": values.shape, "data_offsets": [place, place + values.nbytes]}
        place += values.nbytes
    entries[name] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [place, place + size]}
    header = json.dumps(entries).encode()
    with file.open("wb") as output:
        output.write(struct.pack("<Q", len(header)) + header)
        for values in state.values():
            output.write(values.tobytes())
        output.truncate(8 + len(header) + place + size)


@pytest.fixture
def convnext(tmp_path) -> Path:
    file = tmp_path / "convnext_nano.safetensors"
    save_file(state_of("convnext_nano"), file)
    return file


def test_finding_reads_no_array_and_building_reads_none_of_the_classifier(tmp_path):
    state, file = state_of("convnext_nano"), tmp_path / "convnext_nano.safetensors"
    body = {name: values for name, values in state.items() if not name.startswith("head.fc")}
    try:
        write_with_hole(file, body, "head.fc.weight", TERABYTE)
    except OSError:
        pytest.skip("the file system has no files with holes")
    assert find_network(f"torch:{file}").num_features == 32
    stem = build(file).get_layer("stem_0")
    np.testing.assert_array_equal(np.asarray(stem.kernel), state["stem.0.weight"].transpose(2, 3, 1, 0))


def test_memory_holds_names_to_find_a_network_and_one_array_to_fill_it(tmp_path):
    file = tmp_path / "vgg11.safetensors"
    save_file(state_of("vgg11"), file)
    largest = max(values.nbytes for values in load_file(file).values())
    tracemalloc.start()
    try:
        find_network(f"torch:{file}")
        assert tracemalloc.get_traced_memory()[1] < MEGABYTE < file.stat().st_size / 30
        tracemalloc.reset_peak()
        with open_arrays(file) as read:
            for name in read_shapes(file):
                read(name)
        held, peak = tracemalloc.get_traced_memory()
        assert held < MEGABYTE and peak < 3 * largest + MEGABYTE < file.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_file_that_is_cut_short_is_named_when_it_is_found(size, convnext):
    whole = convnext.read_bytes()
    convnext.write_bytes(whole[:size])
    with pytest.raises(InputError, match="must name a whole safetensors file"):
        find_network(f"torch:{convnext}")


def test_a_file_that_has_changed_is_read_again(convnext):
    before = find_network(f"torch:{convnext}").num_features
    state = state_of("convnext_nano")
    state["stages.3.blocks.0.conv_dw.weight"] = np.ones((64, 1, 7, 7), np.float32)
    save_file(state, convnext)
    assert (before, find_network(f"torch:{convnext}").num_features) == (32, 64)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_every_floating_point_type_is_read(kind, tmp_path):
    import ml_dtypes

    values = np.linspace(-2, 2, 9).reshape(3, 3)
    stored = values.astype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind)
    file = tmp_path / "any.safetensors"
    entry = {"dtype": {"float16": "F16", "bfloat16": "BF16", "float64": "F64"}[kind], "shape": [3, 3]}
    header = json.dumps({"a.weight": entry | {"data_offsets": [0, stored.nbytes]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + stored.tobytes())
    assert read_shapes(file) == {"a.weight": (3, 3)}
    with open_arrays(file) as read:
        found = read("a.weight")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, stored.astype(np.float32))


FAKE_TORCH = '''
"""Stands for torch: a file of arrays (.npz) in place of a pickle; what is said to have code in it is refused."""
import io
import numpy

class Tensor:
    def __init__(self, values):
        self.values, self.shape = values, values.shape
    def detach(self):
        return self
    def float(self):
        return Tensor(self.values.astype("float32"))
    def numpy(self):
        return self.values

def load(path, map_location=None, weights_only=False, **options):
    if not weights_only or map_location != "cpu":
        raise SystemExit("not asked to read safely")
    content = open(path, "rb").read()
    if content.startswith(b"code"):
        raise ValueError("Weights only load failed. Set weights_only=False.\\nUnsupported: GLOBAL posix.system was not")
    if content.startswith(b"cut"):
        raise RuntimeError("failed finding central directory. This is an internal error.")
    print("a line that torch prints")
    state = {name: Tensor(values) for name, values in numpy.load(io.BytesIO(content)).items()}
    return {"epoch": 3, "state_dict": state, "optimizer": {}}
'''


@pytest.fixture
def fake_torch(tmp_path, monkeypatch) -> None:
    place = tmp_path / "packages" / "torch"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text(FAKE_TORCH)
    monkeypatch.setenv("PYTHONPATH", str(place.parent))


@pytest.fixture
def no_torch(tmp_path, monkeypatch) -> None:
    place = tmp_path / "packages" / "torch"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(place.parent))


@pytest.mark.usefixtures("fake_torch")
def test_a_pickle_gives_the_same_network_as_safetensors(tmp_path, convnext):
    state, file = state_of("convnext_nano"), tmp_path / "convnext_nano.pth"
    with file.open("wb") as output:
        np.savez(output, **{f"module.{name}": values.astype("float64") for name, values in state.items()})
    assert read_shapes(file) == read_shapes(convnext)
    for one, other in zip(build(file).get_weights(), build(convnext).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("fake_torch")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"code", "it holds posix.system, and not only arrays. Did you mean to save model.state_dict()?"),
        (b"cut", "RuntimeError: failed finding central directory"),
    ],
)
def test_a_pickle_that_torch_refuses_is_one_line_without_unsafe_advice(content, reason, tmp_path):
    file = tmp_path / "resnet18.pth"
    file.write_bytes(content)
    with pytest.raises(InputError, match="must name a file that torch reads with weights_only=True") as caught:
        find_network(f"torch:{file}")
    assert str(caught.value).endswith(f"Received: {str(file)!r}: {reason}")


@pytest.mark.usefixtures("no_torch")
def test_without_torch_a_pickle_is_refused_with_the_two_ways_out(tmp_path):
    (tmp_path / "resnet18.pth").write_bytes(b"cos\nsystem\n(S'touch never'\ntR.")
    with pytest.raises(InputError, match=r"a \.safetensors file, or torch must be installed: .* Did you mean to") as e:
        find_network(f"torch:{tmp_path / 'resnet18.pth'}")
    assert "\n" not in str(e.value)
