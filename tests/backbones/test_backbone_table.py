"""The table of networks: where weights are from, what for, how large, under which licence, whether they are here."""

import shutil
from pathlib import Path

import pytest
from safetensors.numpy import save_file
from test_torch_files import state_of

from tfl.backbones import catalog
from tfl.backbones.catalog import list_backbones
from tfl.backbones.spec import BackboneSpec
from tfl.backbones.table import MILLIONS, backbone_table
from tfl.errors import InputError

TINY = Path(__file__).parent / "hf" / "bert_gelu"
GOLDEN = """\
name         image size  minimum  features    MB  input  weights of  task      licence       at hand  alpha with weights
MobileNet           224       32      1024  12.8  image  Keras       ImageNet  Apache-2.0    0.25, 1  0.25, 0.5, 0.75, 1
MobileNetV2         224       32      1280   9.2  image  Keras       ImageNet  Apache-2.0    no       0.35, 0.5, 0.75, 1, 1.3, 1.4
VGG16               224       32       512  58.8  image  Keras       ImageNet  CC-BY-4.0     yes      -
DenseNet121         224       32      1024  28.0  image  Keras       ImageNet  BSD-3-Clause  no       -"""  # noqa: E501


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of Keras with the files of three networks, which are not read."""
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(models.parent))
    files = ("mobilenet_2_5_224_tf_no_top.h5", "mobilenet_1_0_224_tf_no_top.h5")
    for name in (*files, "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"):
        (models / name).touch()
    return models


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


@pytest.mark.usefixtures("cache")
def test_networks_of_keras():
    found = backbone_table("MobileNet", "MobileNetV2", "VGG16", "DenseNet121").splitlines()
    assert found == GOLDEN.splitlines()


def test_every_network_of_keras_has_a_size():
    assert set(MILLIONS) == {name for name in list_backbones() if catalog.is_in_keras(name)}


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"README.md": "---\ntags:\n- timm\nlicense: apache-2.0\n---\n# A card\nlicense: other\n"}, "apache-2.0"),
        ({"README.md": "---\nlicense: 'cc-by-nc-4.0'\n---\n"}, "cc-by-nc-4.0"),
        ({"README.md": "license: mit"}, "-"),
        ({"README.md": "no card", "LICENSE.upstream": "text"}, "see LICENSE.upstream"),
        ({}, "-"),
    ],
)
def test_a_torch_file(files, licence, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    file = tmp_path / "convnext_nano.safetensors"
    save_file(state_of("convnext_nano"), file)
    _, line = backbone_table(f"torch:{file}").splitlines()
    size = f"{file.stat().st_size / 1e6:.1f}"
    wanted = [f"torch:convnext_nano@{file}", "224", "32", "32", size]
    assert cells(line) == [*wanted, "image", "torch file", "10 classes", licence, "yes", "-"]


def test_a_folder_of_transformers(tmp_path):
    folder = Path(shutil.copytree(TINY, tmp_path / "bert"))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    line = cells(backbone_table(f"hf:{folder}").splitlines()[1])
    assert (line[0], line[5:]) == (f"hf:{folder}", ["text", "hf folder", "BertModel", "mit", "yes", "-"])


def test_a_network_of_ones_own_has_no_published_weights(monkeypatch):
    own = BackboneSpec("Own", "own", 32, 32, 8, network=lambda pixels: pixels)
    monkeypatch.setitem(catalog._BY_NAME, "Own", own)
    assert cells(backbone_table("own").splitlines()[1]) == ["Own", "32", "32", "8", "-", "image", "own", *"----"]


@pytest.mark.parametrize("name", ["torch:nowhere.safetensors", "hf:nowhere", "resnt*"])
def test_what_is_not_there_is_one_clear_line(name):
    with pytest.raises(InputError, match="Received") as caught:
        backbone_table("VGG16", name)
    assert "\n" not in str(caught.value)
