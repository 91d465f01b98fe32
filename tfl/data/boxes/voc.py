"""Boxes in the XML files of Pascal VOC, as labelImg, CVAT and Roboflow write them: one file for each image."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from tfl.data.boxes.annotation import Annotation, Annotations, read_corners, read_size
from tfl.data.boxes.images import Images, splits_of
from tfl.data.boxes.text import LabelledBox
from tfl.data.split_names import SPLIT_WORDS, SPLITS
from tfl.data.tree import Folder

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SETS = "imagesets"
_OWN = "The VOC"  # the data base of the files of Pascal VOC itself, whose pixels are counted from 1
_SHORT = 200  # so many bytes at the start of a file hold its first element


class _NoDoctype(ET.TreeBuilder):
    """Refuse a document type: only there can a file declare entities, which expand to gigabytes or read files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type, which an annotation does not need")


def is_voc(file: str) -> bool:
    """Return whether a file is an XML file of boxes by its start."""
    if not file.lower().endswith(".xml") or not Path(file).is_file():
        return False
    try:
        with Path(file).open("rb") as opened:
            start = opened.read(_SHORT)
    except OSError:
        return True  # it is named as a file that cannot be read
    return b"<annotation" in start or b"<size" in start or not start.strip() or b"<" not in start


def read_voc(files: Sequence[str], images: Images, tree: Folder) -> Annotations:
    """Read the XML files of a folder.

    Args:
        files: the XML files.
        images: all images of the folder.
        tree: the folder, where `ImageSets/Main/train.txt` may name the images of each split.
    """
    found, alone = [], []
    used: set[str] = set()
    sets = _read_sets(tree)
    by_folder = splits_of(files, Path(tree.path))
    for file in files:
        if sets and Path(file).stem not in sets:
            continue
        image, reason = images.beside(file)
        if not image or image in used:
            alone.append((file, reason or "its image has another annotation, too"))
            continue
        used.add(image)
        split = sets.get(Path(file).stem, "") if sets else by_folder[file]
        found.append(_read(file, image, split))
    stems = {Path(file).stem for file in files}
    bare = [path for path in images.near(used) if Path(path).stem not in stems]
    alone += [(path, "it has no annotation") for path in bare if not sets or Path(path).stem in sets]
    left = sum(Path(file).stem not in sets for file in files) if sets else 0
    notes = (f"Not read: {left} annotations that no file of ImageSets names.",) if left else ()
    return Annotations(found, alone=tuple(alone), notes=notes)


def _read(file: str, image: str, split: str) -> Annotation:
    try:
        root = ET.parse(file, ET.XMLParser(target=_NoDoctype())).getroot()
        boxes = tuple(_box(item, root.findtext("source/database") or "") for item in root.findall("object"))
        size = read_size((root.findtext("size/width"), root.findtext("size/height")))
        return Annotation(file, image, split, boxes, size)
    except ET.ParseError as error:
        empty = not Path(file).stat().st_size
        return Annotation(file, image, split, fault="it is empty" if empty else f"it is not whole XML: {error}")
    except OSError as error:
        return Annotation(file, image, split, fault=f"cannot be read: {error.strerror or error}")
    except (ValueError, LookupError) as error:  # an unknown encoding is a LookupError
        return Annotation(file, image, split, fault=str(error))


def _box(item: ET.Element, database: str) -> LabelledBox:
    name = (item.findtext("name") or "").strip()
    if not name:
        raise ValueError("an object has no name")
    x1, y1, x2, y2 = read_corners([item.findtext(f"bndbox/{corner}") for corner in _CORNERS])
    first = 1.0 if database.startswith(_OWN) else 0.0
    return LabelledBox((x1 - first, y1 - first, x2, y2), name, (item.findtext("difficult") or "").strip() == "1")


def _read_sets(tree: Folder) -> dict[str, str]:
    """Return the split of each name in `ImageSets/Main/*.txt`; the first split counts if a name is in two."""
    folders = [folder for folder in tree.below() if _SETS in Path(folder.path).as_posix().lower()]
    lists: dict[str, list[str]] = {}
    for file in (Path(file) for folder in folders for file in folder.files):
        if file.suffix == ".txt" and file.stem.lower() in SPLIT_WORDS:
            lists.setdefault(file.stem.lower(), []).extend(file.read_text("utf-8", "replace").splitlines())
    if "train" in lists:
        lists.pop("trainval", None)
    by_split = {
        split: [line for word in lists if SPLIT_WORDS[word] == split for line in lists[word]] for split in SPLITS
    }
    pairs = [(Path(line.split()[0]).stem, split) for split in SPLITS for line in by_split[split] if line.strip()]
    return dict(reversed(pairs))
