"""Find out in which format a folder has its boxes, and read them."""

from pathlib import Path

from tfl import progress
from tfl.data.boxes.annotation import Annotations
from tfl.data.boxes.box_table import is_box_table, read_box_table
from tfl.data.boxes.coco import is_coco, read_coco
from tfl.data.boxes.images import Images
from tfl.data.boxes.voc import is_voc, read_voc
from tfl.data.boxes.yolo import is_yolo, read_yolo
from tfl.data.tree import describe_ignored, read_tree, sketch
from tfl.errors import InputError
from tfl.files.existing import existing_annotations
from tfl.inputs import Input

_FORMATS = {"Pascal VOC (*.xml)": is_voc, "COCO (*.json)": is_coco, "YOLO (*.txt)": is_yolo}


def read_annotations(path: str, kind: Input) -> tuple[Path, Annotations]:
    """Return the folder of the images, and the annotations.

    Args:
        path: of a folder, of a COCO file, or of a table of boxes; `~` is the home folder.
        kind: what the files hold.

    Raises:
        InputError: there are no annotations, or they have two formats.
    """
    place = existing_annotations(path, "data.source")
    if place.is_file():
        return _read_file(place, kind)
    tree = read_tree(place, kind.may_be)
    root, images = place, Images(tree)
    if line := describe_ignored(tree.ignored):
        progress.say(line)
    every = tree.all_files()
    found = {name: files for name, is_of in _FORMATS.items() if (files := [file for file in every if is_of(file)])}
    if len(found) > 1:
        first = next(iter(found.values()))[0]
        raise InputError(
            f"`data.source` must have boxes in one format. Received: boxes:{path} with {' and '.join(found)}. "
            f"Did you mean a folder of one of them, as in boxes:{Path(first).parent}?"
        )
    files = next(iter(found.values()), [])
    match next(iter(found), "").partition(" ")[0]:
        case "Pascal":
            return root, read_voc(files, images, tree)
        case "COCO":
            return root, read_coco(files, images, root)
        case "YOLO":
            return root, read_yolo([file for file in every if file.lower().endswith(".txt")], images, tree)
    tables = [file for file in every if is_box_table(file)]
    if len(tables) == 1:
        return root, read_box_table(tables[0], images)
    received = f"{len(tables)} tables of boxes" if tables else sketch(tree)
    hint = f" Did you mean boxes:{tables[0]}?" if tables else ""
    raise InputError(
        "`data.source` must be a folder of images with boxes: XML files of Pascal VOC, a JSON file of COCO, text files "
        "of YOLO, or a table with the columns path, x1, y1, x2, y2 and class. "
        f"Received: boxes:{path} with {received}.{hint}"
    )


def _read_file(file: Path, kind: Input) -> tuple[Path, Annotations]:
    """Read a COCO file or a table, whose images are in its folder, or else in the folder above."""
    for root in (file.parent, file.parent.parent):
        images = Images(read_tree(root, kind.may_be))
        if images.paths:
            break
    is_json = file.suffix.lower() == ".json"
    return root, read_coco([str(file)], images, root) if is_json else read_box_table(str(file), images)
