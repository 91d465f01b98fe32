"""No room but `tfl/inputs/image/` assumes that an example is an image: rooms ask the input of the model or source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KIND, FACTS = "image", {"width", "height"}
ALLOWED = {
    # where an input or its default is named: the registry, the default of model files, backbones and sources
    "tfl/inputs/__init__.py": 1,  # a public name
    "tfl/inputs/known.py": 2,  # the imports of the image inputs, to register them
    "tfl/inputs/files.py": 2,  # the same for its files
    "tfl/inputs/batches.py": 1,  # the older name of the entry "input" in batches of users
    "tfl/models/metadata.py": 1,
    "tfl/backbones/spec.py": 1,
    "tfl/data/load.py": 1,
    "tfl/data/sources.py": 1,
    "tfl/data/table/columns.py": 1,  # a usual name of the column of files
    "tfl/data/split_names.py": 1,  # a word in the names of folders
    "tfl/data/boxes/box_table.py": 1,  # columns of a table of boxes
    "tfl/data/boxes/coco.py": 1,  # keys of a file of COCO
    "tfl/files/box_files.py": 1,  # keys of a file of COCO
    "tfl/data/tfds.py": 1,  # the key under which a tfds data set has its images
}


def assumes(source):
    """Return the lines of a text that import from the room of images, name the kind, or use the facts of images."""
    return sorted({node.lineno for node in ast.walk(ast.parse(source)) if any(rule(node) for rule in RULES)})


def _imports_images(node):
    if isinstance(node, ast.Import):
        return any(alias.name.startswith("tfl.inputs.image") for alias in node.names)
    if not isinstance(node, ast.ImportFrom):
        return False
    names = {alias.name for alias in node.names}
    return (node.module or "").startswith("tfl.inputs.image") or (
        node.module == "tfl.inputs" and bool(names & {KIND, "ImageInput"})
    )


def _names_the_kind(node):
    return isinstance(node, ast.Constant) and node.value in {KIND} | FACTS


def _decodes(node):
    return isinstance(node, ast.Attribute) and node.attr in ("decode_image", "decode_jpeg", "decode_png")


def _is_shape_of_pixels(node):
    """Return whether a tuple has two equal sides and ends with 3, such as (size, size, 3)."""
    if not isinstance(node, ast.Tuple):
        return False
    parts = [ast.dump(part) for part in node.elts[-3:]]
    is_rgb = len(parts) == 3 and isinstance(node.elts[-1], ast.Constant) and node.elts[-1].value == 3
    return is_rgb and parts[0] == parts[1] and not isinstance(node.elts[-2], ast.Constant)


RULES = (_imports_images, _names_the_kind, _decodes, _is_shape_of_pixels)


@pytest.mark.parametrize(
    "planted",
    [
        "from tfl.inputs.image.decode import resize",
        "from tfl.inputs.image import photo_cache",
        "from tfl.inputs import ImageInput",
        "import tfl.inputs.image.scan",
        'values = batch["image"].numpy()',
        'if metadata.kind == "image": pass',
        'specs = {"image": spec}',
        'side = index.facts["width"]',
        "blank = np.zeros((size, size, 3))",
        "shape = (None, size, size, 3)",
        "pixels = tf.io.decode_image(content)",
    ],
)
def test_a_planted_assumption_is_found(planted):
    assert assumes(planted) == [1]


@pytest.mark.parametrize(
    "line",
    [
        'values = batch["input"].numpy()',
        "kind = metadata.input",
        "blank = np.zeros(kind.spec.shape)",
        "triple = (1, 1, 3)",
        "from tfl.inputs import get_input",
        '"""The image."""',
    ],
)
def test_what_asks_the_input_is_no_assumption(line):
    assert assumes(line) == []


def test_no_room_assumes_an_image():
    found = {
        name: len(lines)
        for path in sorted((ROOT / "tfl").rglob("*.py"))
        if not (name := path.relative_to(ROOT).as_posix()).startswith("tfl/inputs/image/")
        and (lines := assumes(path.read_text()))
    }
    assert found == ALLOWED
