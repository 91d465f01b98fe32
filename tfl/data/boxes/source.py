"""`boxes:PATH`: images, each with boxes around the objects that it shows."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from tfl import progress
from tfl.data.boxes.annotation import Annotation
from tfl.data.boxes.clean import clean, describe_remarks, have_stored_pixels
from tfl.data.boxes.find import read_annotations
from tfl.data.boxes.text import PADDING, SEPARATOR, LabelledBox, to_rows, to_text
from tfl.data.folder import FileSource, FilesWithLabels, make_file_source
from tfl.data.label_formats import LabelFormat
from tfl.data.name_patterns import read_groups
from tfl.data.quarantine import check_bad_fraction
from tfl.data.reading import Reading
from tfl.data.source import Source, check_distinct
from tfl.data.split_names import NO_SPLIT, in_no_split
from tfl.errors import InputError
from tfl.inputs import Geometry, Input, Scanned
from tfl.inputs.scan import scan_files
from tfl.registry import natural_key, normal_name

Bad = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class BoxSource(FilesWithLabels):
    """Images on disk with boxes. The index has the boxes as text, in pixels of the upright image; see `to_text`.

    Attributes:
        names: of the classes.
        numbers: the number of each class in the model; by default 0, 1, ...
    """

    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    labels_have_places = True

    @property
    def most_boxes(self) -> int:
        """The number of rows of a label: that of the image with the most boxes, at least 1."""
        counts = (text.count(SEPARATOR) + 1 for text in self.index.labels.tolist() if text)
        return max(counts, default=1)

    def boxes(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the boxes of some rows: for each float32 `(N, 5)`, x1, y1, x2, y2 in pixels, and the class.

        The class of a crowd of class k is `crowd_of(k)`.
        """
        number = dict(zip(self.names, self.numbers or range(len(self.names)), strict=True))
        return [to_rows(text, number) for text in self.index.labels[rows].tolist()]

    def labels(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return labels, float32 `(most_boxes, 5)`: corners in fractions of the sides, and the class; see `Source`.

        Rows that are no box have the class -1.
        """
        rows = np.asarray(rows, np.int64)
        boxes = self.boxes(rows)
        stops = np.cumsum([len(own) for own in boxes], dtype=np.int64)
        sides = np.stack([facts[rows] for facts in self.index.facts.values()], axis=-1).astype(np.float32)
        shape = (self.most_boxes, 5)
        with tf.device("CPU"):
            every = tf.constant(np.concatenate([np.zeros((0, 5), np.float32), *boxes]))

        def read(start: tf.Tensor, stop: tf.Tensor, size: tf.Tensor, row: tf.Tensor) -> dict[str, tf.Tensor]:
            own = every[start:stop] / tf.concat([size, size, [1.0]], axis=0)
            padding = tf.tile([[0.0, 0.0, 0.0, 0.0, float(PADDING)]], [shape[0] - tf.shape(own)[0], 1])
            return {"label": tf.ensure_shape(tf.concat([own, padding], axis=0), shape), "id": row}

        columns = (np.concatenate([[0], stops])[:-1].astype(np.int64), stops, sides, rows)
        return tf.data.Dataset.from_tensor_slices(columns).map(read, num_parallel_calls=tf.data.AUTOTUNE)

    def prepare_label(self, label: tf.Tensor, size: int, places: Geometry | None = None) -> tf.Tensor:
        """Return boxes in pixels of the prepared image, `(size, size)`; see `Source`.

        Boxes are clipped to what augmentation leaves of the image, and those without area are no boxes.
        """
        if places is None:
            return label * tf.constant([size, size, size, size, 1], label.dtype)
        corners = places.move_boxes(label[:, :4], tf.ones(2))
        has_area = tf.reduce_all(corners[:, 2:] > corners[:, :2], axis=1, keepdims=True)
        moved = tf.concat([corners, label[:, 4:]], axis=1)
        return tf.where(has_area, moved, tf.constant([0.0, 0.0, 0.0, 0.0, float(PADDING)]))

    def numbered_as(self, labels: LabelFormat, order: np.ndarray) -> "Source":
        """Return the source with the class numbers of a model; see `Source`."""
        return dataclasses.replace(self, numbers=tuple(int(order[number]) for number in range(len(self.names))))


def load_boxes(path: str, kind: Input, reading: Reading) -> BoxSource:
    """Read a folder of images with boxes in the format that is found: Pascal VOC, COCO, YOLO, or a table of boxes.

    An image is left out and listed in `quarantine` if it is broken, has no annotation where the format needs one, or if
    one of its annotations cannot be understood: without it, an object would count as background. Boxes that reach out
    of their image are clipped; boxes without area, outside of their image and equal boxes are left out, with a line
    that says how many.

    A photo with an EXIF orientation is displayed upright. Its boxes are turned with it if the annotation states the
    size of the stored pixels; else they are those of the upright photo. If both sizes are equal, other photos tell; see
    `have_stored_pixels`.

    Args:
        path: of the folder, of a COCO file or of a table; `~` is the home folder.
        kind: what the files hold.
        reading: how the source is read: its bad files and groups.

    Raises:
        InputError: there are no annotations, they can be read in two ways, too many files are bad, or no box is left.
    """
    root, found = read_annotations(path, kind)
    for line in found.notes:
        progress.say(line)
    bad: Bad = list(found.alone)
    scanned = scan_files(kind, [annotation.image for annotation in found.found])
    remarks: Bad = []
    good = []
    outside = in_no_split([annotation.split for annotation in found.found])
    stored = _are_stored(found.found, scanned)
    for annotation, image, is_outside in zip(found.found, scanned, outside, strict=True):
        if is_outside:
            bad.append((annotation.file, NO_SPLIT))
            continue
        boxes = _boxes(annotation, image, (bad, remarks), has_stored_pixels=stored)
        if boxes is not None:
            good.append((annotation, image, boxes))
    if line := describe_remarks(remarks):
        progress.say(line)
    for file, remark in remarks:
        logging.info("%s: %s", file, remark)
    check_bad_fraction(bad, len(found.found) + len(found.alone), reading.max_bad_fraction)
    _check_units(good, path)
    names = found.names or _names(good)
    if not any(boxes for _, _, boxes in good):
        raise InputError(
            f"`data.source` must have at least one image with a box. Received: boxes:{path} with {len(good)} usable "
            f"{kind.noun[1]} and no box."
        )
    return _make(root, kind, good, (tuple(bad), names), reading.group_pattern)


def _are_stored(annotations: Sequence[Annotation], images: Sequence[object]) -> bool:
    """Return whether a tool that ignores EXIF made the annotations of the images that could be read."""
    pairs = zip(annotations, images, strict=True)
    read = [(each, tuple(image.facts.values())) for each, image in pairs if isinstance(image, Scanned)]
    return have_stored_pixels([each for each, _ in read], [(size[0], size[1]) for _, size in read])


def _boxes(
    annotation: Annotation, image: object, faults: tuple[Bad, Bad], *, has_stored_pixels: bool
) -> list[LabelledBox] | None:
    """Return the boxes of an image, None if it is left out; the reason, or remarks on boxes, are added to `faults`."""
    bad, remarks = faults
    if not isinstance(image, Scanned):
        bad.append((annotation.image, str(image)))
        return None
    width, height = image.facts.values()
    try:
        if annotation.fault:
            raise ValueError(annotation.fault)
        boxes, changed = clean(annotation, (width, height), has_stored_pixels=has_stored_pixels)
        _check_names(boxes)
    except ValueError as error:
        bad.append((annotation.file, str(error)))
        return None
    remarks += [(annotation.file, remark) for remark in changed]
    return boxes


def _check_units(good: Sequence[tuple[Annotation, Scanned, list[LabelledBox]]], path: str) -> None:
    """Refuse boxes in shares of the sides where the format has pixels: each would be smaller than a pixel."""
    given = [max(box.corners) for annotation, _, _ in good if not annotation.is_relative for box in annotation.boxes]
    if given and max(given) <= 1:
        raise InputError(
            f"`data.source` must have boxes in pixels. Received: boxes:{path}, with no corner above 1, as in shares "
            "of the sides."
        )


def _check_names(boxes: Sequence[LabelledBox]) -> None:
    wrong = next((box.name for box in boxes if SEPARATOR in box.name or not box.name.isprintable()), None)
    if wrong is not None:
        raise ValueError(f"a box has the class {wrong!r}, and {SEPARATOR!r} separates boxes in tables")


def _names(good: Sequence[tuple[Annotation, Scanned, list[LabelledBox]]]) -> tuple[str, ...]:
    """Return the names that occur, in natural order."""
    return tuple(sorted({normal_name(box.name) for _, _, boxes in good for box in boxes}, key=natural_key))


def _make(
    root: Path,
    kind: Input,
    good: Sequence[tuple[Annotation, Scanned, list[LabelledBox]]],
    known: tuple[tuple[tuple[str, str], ...], tuple[str, ...]],
    group_pattern: str,
) -> BoxSource:
    bad, names = known
    ids = [Path(annotation.image).relative_to(root).as_posix() for annotation, _, _ in good]
    files = [((annotation.split, "", annotation.image), image) for annotation, image, _ in good]
    texts = [to_text(box._replace(name=normal_name(box.name)) for box in boxes) for _, _, boxes in good]
    labels = np.array(texts, np.dtypes.StringDType())
    groups = read_groups(group_pattern, ids, f"boxes:{root}")
    made = make_file_source(kind, ids, files, bad, labels, check_distinct(names, "classes"), groups)
    values = {field.name: getattr(made, field.name) for field in dataclasses.fields(FileSource)}
    return BoxSource(**values, names=made.index.class_names)
