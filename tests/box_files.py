"""Small pictures with boxes for tests, in the formats that `boxes:PATH` reads."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 30
BOXES = {
    "a": [(2, 3, 12, 13, "cat")],
    "b": [(5, 5, 35, 25, "dog"), (0, 0, 8, 9, "cat")],
    "c": [],
    "d": [(1, 2, 9, 30, "dog")],
}


def draw(path: Path, boxes: list, size: tuple[int, int] = (WIDTH, HEIGHT), seed: int = 0) -> None:
    """Write a picture with a filled square for each box."""
    pixels = np.random.default_rng(seed).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    for x1, y1, x2, y2, name in boxes:
        pixels[int(y1) : int(y2), int(x1) : int(x2)] = (230, 60, 40) if name == "cat" else (40, 90, 230)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def voc_text(boxes: list, size: tuple[int, int] | None = (WIDTH, HEIGHT), database: str = "Unknown") -> str:
    """Return the text of an XML file of Pascal VOC."""
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for x1, y1, x2, y2, name in boxes
    )
    source = f"<source><database>{database}</database></source>"
    return f"<annotation>{source}{stated}{objects}</annotation>"


def write_voc(folder: Path, boxes: dict[str, list] | None = None) -> Path:
    """Write pictures into `JPEGImages` and XML files into `Annotations`."""
    for seed, (name, own) in enumerate((BOXES if boxes is None else boxes).items()):
        draw(folder / "JPEGImages" / f"{name}.png", own, seed=seed)
        file = folder / "Annotations" / f"{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(voc_text(own))
    return folder


def write_yolo(folder: Path, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Write pictures into `images`, text files into `labels`, and `data.yaml`."""
    for seed, (name, own) in enumerate(BOXES.items()):
        draw(folder / "images" / f"{name}.png", own, seed=seed)
        lines = [_yolo_line(names.index(label), (x1, y1, x2, y2)) for x1, y1, x2, y2, label in own]
        file = folder / "labels" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines))
    (folder / "data.yaml").write_text(json.dumps({"names": list(names), "nc": len(names)}))
    return folder


def _yolo_line(number: int, corners: tuple) -> str:
    x1, y1, x2, y2 = corners
    return f"{number} {(x1 + x2) / 2 / WIDTH} {(y1 + y2) / 2 / HEIGHT} {(x2 - x1) / WIDTH} {(y2 - y1) / HEIGHT}"


def coco_content(folder: str = "images") -> dict:
    """Return the content of a COCO file for the pictures."""
    images = [
        {"id": number, "file_name": f"{folder}/{name}.png", "width": WIDTH, "height": HEIGHT}
        for number, name in enumerate(BOXES)
    ]
    annotations = [
        {"id": 1, "image_id": number, "category_id": {"cat": 7, "dog": 3}[label], "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for number, own in enumerate(BOXES.values())
        for x1, y1, x2, y2, label in own
    ]
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(folder: Path, content: dict | None = None) -> Path:
    """Write pictures into `images` and a COCO file into `annotations`."""
    for seed, (name, own) in enumerate(BOXES.items()):
        draw(folder / "images" / f"{name}.png", own, seed=seed)
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "instances.json").write_text(json.dumps(coco_content() if content is None else content))
    return folder


def write_table(folder: Path) -> Path:
    """Write pictures into `images` and a table of their boxes."""
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for seed, (name, own) in enumerate(BOXES.items()):
        draw(folder / "images" / f"{name}.png", own, seed=seed)
        rows += [f"{name}.png,{WIDTH},{HEIGHT},{label},{x1},{y1},{x2},{y2}" for x1, y1, x2, y2, label in own]
        rows += [] if own else [f"{name}.png,{WIDTH},{HEIGHT},,,,,"]
    (folder / "boxes.csv").write_text("\n".join(rows))
    return folder
