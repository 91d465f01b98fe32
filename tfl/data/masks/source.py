"""`masks:PATH`: images, each with a mask that gives every pixel its class."""

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.boxes.images import Images
from tfl.data.folder import FileSource, FilesWithLabels, encode_paths, make_file_source
from tfl.data.label_formats import LabelFormat
from tfl.data.masks.mask_file import ReadMask, ScannedMask, digest_of, read_values, scan_mask
from tfl.data.masks.outlines import find_outline_files, read_outlines
from tfl.data.masks.pairs import Alone, Pair, find_pairs, has_pairs
from tfl.data.masks.rows import pairs_of_table
from tfl.data.masks.table import VOID, MaskTable, Named, make_table, read_names
from tfl.data.name_patterns import read_groups
from tfl.data.quarantine import check_bad_fraction
from tfl.data.reading import Reading
from tfl.data.source import Source
from tfl.data.table.read import Table
from tfl.data.tree import Folder, describe_ignored, read_tree
from tfl.files.existing import existing_masks
from tfl.inputs import Geometry, Input, Scanned
from tfl.inputs.scan import scan_files


@dataclasses.dataclass(frozen=True)
class MaskSource(FilesWithLabels):
    """Images and masks on disk. The label of an example is its mask; the index holds a digest of it.

    Attributes:
        masks: path of the mask of each row.
        table: the classes.
        read: from such a path to the values of the mask.
    """

    labels_have_places = True

    masks: tuple[str, ...] = ()
    table: MaskTable = dataclasses.field(default_factory=lambda: MaskTable((), (), -1, has_colours=False))
    read: ReadMask = read_values

    def labels(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return class numbers uint8 `(H, W)` alone; see `Source`."""
        paths = encode_paths(self.masks[row] for row in np.asarray(rows).tolist())
        digests = np.array(self.index.labels[rows], np.bytes_)

        def read(path: tf.Tensor, digest: tf.Tensor, row: tf.Tensor) -> dict[str, tf.Tensor]:
            numbers, same = tf.numpy_function(self._numbers, [path, digest], (tf.uint8, tf.bool))
            check = tf.debugging.Assert(same, ["changed since it was checked:", path])
            with tf.control_dependencies([check]):
                return {"label": tf.ensure_shape(tf.identity(numbers), (None, None)), "id": row}

        rows_of = tf.data.Dataset.from_tensor_slices((paths, digests, np.asarray(rows, np.int64)))
        return rows_of.map(read, num_parallel_calls=tf.data.AUTOTUNE)

    def prepare_label(self, label: tf.Tensor, size: int, places: Geometry | None = None) -> tf.Tensor:
        """Return a mask at the size of the prepared image, uint8 `(size, size)`: of each pixel the nearest one.

        Pixels that augmentation uncovers do not count.
        """
        if places is not None:
            return places.move_mask(label, VOID)
        return tf.image.resize(label[:, :, None], (size, size), "nearest")[:, :, 0]

    def numbered_as(self, labels: LabelFormat, order: np.ndarray) -> "Source":
        """Return the source with the class numbers of a model; see `Source`."""
        numbers = tuple(int(order[number]) for number in range(len(self.table.names)))
        return dataclasses.replace(self, table=dataclasses.replace(self.table, numbers=numbers))

    def _numbers(self, path: bytes, digest: bytes) -> tuple[np.ndarray, np.bool_]:
        try:
            values, form = self.read(os.fsdecode(path))
        except ValueError:
            return np.zeros((0, 0), np.uint8), np.bool_(False)
        return self.table.to_numbers(values, form), np.bool_(digest_of(values)[: len(digest)].encode() == digest)


def load_masks(path: str, kind: Input, reading: Reading) -> MaskSource:
    """Read a folder of images and masks; see `find_pairs` for the folders and `read_names` for the names.

    If the folder has no masks, but a COCO file with outlines of objects, masks are drawn from these; see `Outlines`.

    A file that is not a whole image, a mask of another size, with an unknown value or without a pixel that counts, and
    a file without a partner are left out and listed in `quarantine`.

    Args:
        path: of the folder, or of a COCO file; `~` is the home folder.
        kind: what the files hold.
        reading: how the source is read: its bad files, groups and the value that does not count.

    Raises:
        InputError: the folder has no such folders, too many files are bad, or the masks have fewer than two classes.
    """
    place, source = existing_masks(path, "data.source"), f"masks:{path}"
    if place.is_file():
        root, tree = _images_of(place, kind)
        return _load(root, kind, _outlined(root, tree, [str(place)]), reading, source)
    root, tree = place, read_tree(place, kind.may_be)
    if line := describe_ignored(tree.ignored):
        progress.say(line)
    files = find_outline_files(tree)
    if files and not has_pairs(tree):
        return _load(root, kind, _outlined(root, tree, files), reading, source)
    if files:
        progress.say(f"Not read: {files[0]}, because there are masks. masks:{files[0]} reads its outlines.")
    pairs, alone = find_pairs(tree, source)
    return _load(root, kind, _Found(pairs, alone), reading, source)


@dataclasses.dataclass(frozen=True)
class _Found:
    """What a source has before its files are checked.

    Attributes:
        pairs: of images and masks.
        alone: (path, reason) of the files that cannot be used.
        names: the ids of the pairs, and their groups or None; None: the ids are their paths in the folder.
        named: the classes; None: those of a file in the folder.
        read: from the path of a mask to its values.
    """

    pairs: Sequence[Pair]
    alone: Alone
    names: tuple[Sequence[str], Sequence[str] | None] | None = None
    named: Named | None = None
    read: ReadMask = read_values


def _outlined(root: Path, tree: Folder, files: Sequence[str]) -> _Found:
    outlines = read_outlines(files, tree, root)
    return _Found(outlines.pairs, outlines.alone, None, outlines.named, outlines.read)


def _images_of(file: Path, kind: Input) -> tuple[Path, Folder]:
    """Return the folder of the images of a COCO file: that of the file, or else the one above it."""
    places = [(root, read_tree(root, kind.may_be)) for root in (file.parent, file.parent.parent)]
    return next(((root, tree) for root, tree in places if Images(tree).paths), places[0])


def load_mask_table(table: Table, kind: Input, folder: Path, reading: Reading) -> MaskSource:
    """Read the images and masks that a table names, a pair in each row; see `load_masks` for what is left out.

    The column of masks is `label` in `data.columns`, or it has a usual name such as mask. The names of the classes are
    read from a file in the folder of the table, as for a folder.

    Raises:
        InputError: a column does not exist, too many rows are bad, or the masks have fewer than two classes.
    """
    pairs, alone, names = pairs_of_table(table, folder, reading)
    return _load(folder, kind, _Found(pairs, alone, names), reading, table.name)


def _load(root: Path, kind: Input, found: _Found, reading: Reading, source: str) -> MaskSource:
    """Check the files of pairs, and make a source of the good ones."""
    pairs = found.pairs
    images = scan_files(kind, [pair.image for pair in pairs])
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        scanned = pool.map(lambda pair: _scan(pair, found.read), pairs)
        masks = list(progress.track(scanned, "Checking masks", total=len(pairs), unit=("mask", "masks")))
    named = read_names(root) if found.named is None else found.named
    whole = [mask for mask in masks if isinstance(mask, ScannedMask)]
    table = make_table(whole, named, reading.ignore_label, source)
    bad, good = list(found.alone), []
    ids, groups = found.names or _ids(root, pairs, reading, source)
    for row, (pair, image, mask) in enumerate(zip(pairs, images, masks, strict=True)):
        if reason := _describe_bad(image, mask, table):
            bad.append((pair.mask if isinstance(image, Scanned) else pair.image, reason))
        else:
            good.append((pair, image, mask, ids[row], "" if groups is None else groups[row]))
    check_bad_fraction(bad, len(pairs) + len(found.alone), reading.max_bad_fraction)
    made = _make(kind, good, tuple(bad), table, has_groups=groups is not None)
    return dataclasses.replace(made, read=found.read)


def _ids(
    root: Path, pairs: Sequence[Pair], reading: Reading, source: str
) -> tuple[Sequence[str], Sequence[str] | None]:
    ids = [Path(pair.image).relative_to(root).as_posix() for pair in pairs]
    return ids, read_groups(reading.group_pattern, ids, source)


def _scan(pair: Pair, read: ReadMask) -> ScannedMask | str:
    try:
        return scan_mask(pair.mask, read)
    except ValueError as error:
        return str(error)


def _describe_bad(image: object, mask: ScannedMask | str, table: MaskTable) -> str:
    if not isinstance(image, Scanned):
        return str(image)
    if isinstance(mask, str):
        return mask
    size = tuple(image.facts.values())
    if all(size) and (mask.width, mask.height) != size:
        return f"it has {mask.width} x {mask.height} pixels, and its image {' x '.join(map(str, size))}"
    return table.describe_misfit(mask)


def _make(
    kind: Input,
    good: Sequence[tuple[Pair, Scanned, ScannedMask, str, str]],
    bad: tuple[tuple[str, str], ...],
    table: MaskTable,
    *,
    has_groups: bool,
) -> MaskSource:
    pairs, images, found, ids, groups = (list(column) for column in zip(*good, strict=True)) if good else ([],) * 5
    files = [((pair.split, "", pair.image), image) for pair, image in zip(pairs, images, strict=True)]
    digests = np.array([mask.digest for mask in found], np.str_)
    made = make_file_source(kind, ids, files, bad, digests, table.names, groups if has_groups else None)
    mask_of = {pair.image: pair.mask for pair in pairs}
    masks = tuple(mask_of[image] for image in made.index.paths.tolist())
    values = {field.name: getattr(made, field.name) for field in dataclasses.fields(FileSource)}
    return MaskSource(**values, masks=masks, table=table)
