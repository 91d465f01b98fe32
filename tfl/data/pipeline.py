"""Make batches from the rows of a source: read, decode, augment, resize and batch, in parallel, in a fixed order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.folder import encode_paths, read_image
from tfl.data.source import Source
from tfl.data.tree import describe_ignored, is_junk, read_tree
from tfl.errors import BadImageError, InputError
from tfl.files.writing import expand_home
from tfl.inputs.image.augment import example_seed
from tfl.inputs.image.depth import describe_excess
from tfl.inputs.image.image_input import ImageInput
from tfl.inputs.image.scan import ScannedImage, scan_files

SHUFFLE_BUFFER = 2048  # undecoded examples; streams only
RULES = 2  # part of the name of stored features: raise it when decoding, resizing or augmentation changes pixels


def epoch_order(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return `rows` in the order of an epoch, which depends only on (seed, epoch)."""
    return np.random.default_rng((seed, epoch)).permutation(rows)


def make_dataset(
    source: Source,
    rows: np.ndarray,
    *,
    image_size: int,
    batch_size: int,
    augmentation: str = "none",
    seed: int = 0,
    epoch: int | None = None,
    shuffle: bool = True,
) -> tf.data.Dataset:
    """Make batches of the examples in `rows`.

    Without an epoch, for evaluation and feature extraction: index order, no augmentation, every example exactly once.
    With an epoch, for training: the order is a random permutation from (seed, epoch), and the augmentation of an
    example depends on (seed, epoch, content) only, not on the number of threads or on other examples. Sources
    without random access (tfds, tf.data) are read in their own order; with an epoch they are shuffled through a
    seeded buffer of 2,048 examples.
    Memory holds paths, but no pixels (except for sources in memory), so large data sets need little memory.

    Args:
        source: where the examples are.
        rows: int64 positions in `source.index`.
        image_size: pixels per side.
        batch_size: examples per batch; the last batch may be shorter.
        augmentation: "none", "light", "shift" or "rand"; used only with `epoch`.
        seed: of the order and the augmentation.
        epoch: number of the pass over the training data, or None for evaluation.
        shuffle: false keeps the order of `rows` (or of the stream), also with an epoch.

    Returns:
        Dataset of {"image": uint8 (B, image_size, image_size, 3) RGB, "label", "id": int64 (B,), "weight":
        float32 (B,), all 1}.

    Example:
        >>> splits = load_data("digits")
        >>> batch = next(iter(make_dataset(splits.source, splits.test, image_size=32, batch_size=8)))
        >>> batch["image"].shape
        TensorShape([8, 32, 32, 3])
    """
    rows = np.asarray(rows, np.int64)
    with tf.device("CPU"):
        seeds = tf.constant(source.index.seeds if epoch is not None else (), tf.int64)

    image_input = ImageInput(image_size, source.bit_depth, source.formats)

    def prepare(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if epoch is None:
            image = image_input.prepare(example["image"])
        else:
            own_seed = example_seed(seed, epoch, tf.gather(seeds, example["id"]))
            image = image_input.augment(example["image"], augmentation, own_seed)
        return {"image": image, "label": example["label"], "id": example["id"], "weight": tf.ones(())}

    if epoch is not None and shuffle and source.has_random_access:
        rows = epoch_order(rows, seed, epoch)
    dataset = source.examples(rows)
    if epoch is not None and shuffle and not source.has_random_access:
        buffer_seed = int(np.random.default_rng((seed, epoch)).integers(2**31))
        dataset = dataset.shuffle(SHUFFLE_BUFFER, seed=buffer_seed, reshuffle_each_iteration=False)
    dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def make_prediction_dataset(
    files: Sequence[str | Path], image_size: int, batch_size: int, bit_depth: int = 16
) -> tuple[tf.data.Dataset, list[str], list[tuple[str, str]]]:
    """Make batches of image files without labels, decoded and resized as for training.

    A file that was deleted or changed after the check is left out of the batches: `explain_lost` says why.

    Args:
        files: image files, and folders that are searched with all sub-folders; hidden files in them, and files of
            other programs (`Thumbs.db`, `@eaDir`), are ignored.
        image_size: pixels per side.
        batch_size: examples per batch; the last batch may be shorter.
        bit_depth: number of bits that 16-bit PNG files really use; files with more are left out.

    Returns:
        Dataset of {"image": uint8 (B, image_size, image_size, 3), "id": int64 (B,)}; the list of paths, in which
        each id is a position; and (path, reason) of the files that are left out.

    Raises:
        InputError: there is no usable image among the files.
    """
    paths = _list_images(files)
    good, bad = [], []
    for path, result in zip(paths, scan_files(paths), strict=True):
        if isinstance(result, ScannedImage) and result.peak < 2**bit_depth:
            good.append((path, result))
        else:
            reason = describe_excess(result.peak, bit_depth) if isinstance(result, ScannedImage) else str(result)
            bad.append((path, reason))
    if not good:
        received = f"{len(bad)} that are not usable, the first: {bad[0][0]} ({bad[0][1]})" if bad else "no file"
        raise InputError(f"`files` must hold at least one usable image. Received: {received}.")
    formats = sorted({result.format for _, result in good})
    columns = {
        "path": encode_paths(path for path, _ in good),
        "fingerprint": np.array([result.fingerprint for _, result in good], np.int64),
        "id": np.arange(len(good)),
    }
    if any(result.png for _, result in good):
        columns["png"] = encode_paths(result.png for _, result in good)

    image_input = ImageInput(image_size, bit_depth, tuple(formats))

    def prepare(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"image": image_input.prepare(read_image(row)), "id": row["id"]}

    dataset = tf.data.Dataset.from_tensor_slices(columns).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.ignore_errors().batch(batch_size).prefetch(tf.data.AUTOTUNE)
    return dataset, [path for path, _ in good], bad


def explain_lost(paths: Sequence[str], ids: np.ndarray) -> list[tuple[str, str]]:
    """Return the files that passed the check but are in no batch, and the reason for each.

    Args:
        paths: from `make_prediction_dataset`.
        ids: int64 (N,), of all examples in its batches.

    Returns:
        (path, reason) of each missing file.
    """
    lost = [paths[int(row)] for row in np.setdiff1d(np.arange(len(paths)), ids)]
    results = scan_files(lost, "Checking again") if lost else []
    changed = "changed since it was checked"
    return [
        (path, str(now) if isinstance(now, BadImageError) else changed) for path, now in zip(lost, results, strict=True)
    ]


def _list_images(files: Sequence[str | Path]) -> list[str]:
    """Replace each folder by the files in it; print one line about the ignored files."""
    paths: list[str] = []
    ignored: list[str] = []
    for path in (Path(expand_home(file, "files")) for file in files):
        # A shell pattern such as photos/* also returns the files of other programs.
        if not path.name.startswith(".") and is_junk(path.name, is_folder=path.is_dir()):
            ignored.append(path.name)
        elif path.is_dir():
            tree = read_tree(path)
            paths.extend(tree.all_files())
            ignored.extend(tree.ignored)
        else:
            paths.append(str(path))
    if ignored:
        progress.say(describe_ignored(ignored))
    return paths
