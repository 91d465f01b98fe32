"""Which network a folder or a file holds, wherever it is: a digest of its content."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

from tfl.backbones.hf.folder import PREFIX, is_folder_name
from tfl.config.torch_names import is_torch_name, torch_parts
from tfl.errors import InputError

_FILES = (  # of a folder of transformers: what decides the network, its weights and its pieces
    *("config.json", "model.safetensors", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.json"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "preprocessor_config.json"),
)


def content_of(name: str) -> str:
    """Return the SHA-256 of the files of a network, in hexadecimal; "" for one that is not a folder or a file.

    A folder that was moved or copied has the same digest.

    Args:
        name: of the network, as `get_backbone_spec` spells it: "hf:FOLDER", "torch:NAME@FILE" or another name.

    Example:
        >>> content_of("MobileNetV2")
        ''
    """
    if is_torch_name(name):
        network, file = torch_parts(name)
        return _digest(network, _stamped([Path(file)]))
    if not is_folder_name(name):
        return ""
    folder = Path(name.removeprefix(PREFIX))
    return _digest("", _stamped([folder / file for file in _FILES if (folder / file).is_file()]))


def check_content(expected: str, name: str) -> str:
    """Return the digest of a network; refuse another one than was asked for.

    Args:
        expected: the option `backbone.sha256`; "": any.
        name: as for `content_of`.

    Raises:
        InputError: the network has another digest, or none.
    """
    found = content_of(name)
    if expected and expected != found:
        other = f"whose content has {found}" if found else "which is no folder or file, so that it has none"
        raise InputError(
            f"`backbone.sha256` must be empty or that of {name}, {other}. Received: backbone.sha256={expected!r}."
        )
    return found


def _stamped(files: Sequence[Path]) -> tuple[tuple[Path, int, int], ...]:
    """Return files with their size and time, so that a digest that is kept is that of the file as it is now."""
    return tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


@functools.lru_cache(maxsize=32)
def _digest(network: str, files: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the digest of the name of a network and of the names and contents of its files.

    The name of a single file may change; inside a folder names say what a file is.
    """
    digest = hashlib.sha256(network.encode())
    for path, size, _ in files:
        digest.update(f"{'' if network else path.name}:{size};".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
