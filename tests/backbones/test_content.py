"""The digest of a network is that of its content, wherever it is."""

import shutil

import pytest
from texts import TINY

from tfl.backbones.content import check_content, content_of
from tfl.errors import InputError


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(TINY, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_copy_is_the_same_network(copy):
    assert content_of(f"hf:{copy}") == content_of(f"hf:{TINY}")
    (copy / "README.md").write_text("other words about the same network")
    assert content_of(f"hf:{copy}") == content_of(f"hf:{TINY}")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_one_other_byte_is_another_network(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[-2] ^= 1
    before = content_of(f"hf:{copy}")
    (copy / name).write_bytes(content)
    assert content_of(f"hf:{copy}") != before


def test_the_network_of_a_file_counts_and_its_path_does_not(tmp_path):
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).write_bytes(b"weights")
    first, moved = (content_of(f"torch:resnet50@{tmp_path / name}") for name in ("a.pth", "b.pth"))
    assert first == moved != content_of(f"torch:resnet101@{tmp_path / 'a.pth'}")


def test_a_digest_that_is_asked_for_is_checked():
    found = content_of(f"hf:{TINY}")
    assert check_content(found, f"hf:{TINY}") == check_content("", f"hf:{TINY}") == found
    with pytest.raises(InputError, match=rf"`backbone\.sha256` must be empty or that of hf:.*has {found}"):
        check_content("0" * 64, f"hf:{TINY}")
    with pytest.raises(InputError, match=r"that of MobileNetV2, which is no folder or file, so that it has none"):
        check_content("0" * 64, "MobileNetV2")
