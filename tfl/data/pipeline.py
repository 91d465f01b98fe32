"""Make batches from the rows of a source: read, decode, augment, resize and batch, in parallel, in a fixed order."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.folder import encode_paths, read_raw
from tfl.data.order import epoch_order, split_draws
from tfl.data.source import Source
from tfl.data.tree import describe_ignored, is_junk, read_tree
from tfl.errors import BadExampleError, InputError
from tfl.files.writing import expand_home
from tfl.inputs import Geometry, Input, Scanned
from tfl.inputs.scan import scan_files
from tfl.inputs.seeds import example_seed

_Prepare = Callable[..., dict[str, tf.Tensor]]

SHUFFLE_BUFFER = 2048  # undecoded examples; streams only


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
        rows: int64 positions in `source.index`; or draws of an epoch, as from `epoch_order`: if an example is drawn
            again, it is augmented in another way.
        image_size: pixels per side; for another kind of example its size.
        batch_size: examples per batch; the last batch may be shorter.
        augmentation: "none", "light", "shift", "rand", "trivial" or "erase"; used only with `epoch`.
        seed: of the order and the augmentation.
        epoch: number of the pass over the training data, or None for evaluation.
        shuffle: false keeps the order of `rows` (or of the stream), also with an epoch.

    Returns:
        Dataset of {"input": uint8 (B, image_size, image_size, 3) RGB, "label", "id": int64 (B,), "weight":
        float32 (B,), from the index, else 1}; another kind of example has another "input".

    Example:
        >>> splits = tfl.load_data("digits")
        >>> batch = next(iter(make_dataset(splits.source, splits.test, image_size=32, batch_size=8)))
        >>> batch["input"].shape
        TensorShape([8, 32, 32, 3])
    """
    if epoch is not None and shuffle and source.has_random_access:
        rows = epoch_order(np.asarray(rows, np.int64), seed, epoch)
    rows, again = split_draws(rows)
    prepare = _preparing(source, image_size, augmentation, seed, epoch)
    dataset = source.examples(rows)
    if again.any():
        dataset = tf.data.Dataset.zip(dataset, tf.data.Dataset.from_tensor_slices(again))
    if epoch is not None and shuffle and not source.has_random_access:
        buffer_seed = int(np.random.default_rng((seed, epoch)).integers(2**31))
        dataset = dataset.shuffle(SHUFFLE_BUFFER, seed=buffer_seed, reshuffle_each_iteration=False)
    dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _preparing(source: Source, image_size: int, augmentation: str, seed: int, epoch: int | None) -> _Prepare:
    """Return a function from an example of a source, and the number of its draw, to an element of a batch."""
    with tf.device("CPU"):
        seeds = tf.constant(source.index.seeds if epoch is not None else (), tf.int64)
        weights = tf.constant(source.index.weights)

    kind = source.kind.sized(image_size)

    def augment(example: dict[str, tf.Tensor], repeat: tf.Tensor | None) -> tuple[tf.Tensor, Geometry | None]:
        if epoch is None or augmentation == "none":  # no seeds: they cost as much as decoding a small image
            return kind.prepare(example["input"]), None
        own_seed = example_seed(seed, epoch, tf.gather(seeds, example["id"]))
        if repeat is not None:
            again_seed = tf.random.experimental.stateless_fold_in(own_seed, repeat)
            own_seed = tf.where(repeat > 0, again_seed, own_seed)
        if source.labels_have_places:
            return kind.augment_with_places(example["input"], augmentation, own_seed)
        return kind.augment(example["input"], augmentation, own_seed), None

    def prepare(example: dict[str, tf.Tensor], repeat: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        prepared, places = augment(example, repeat)
        weight = tf.gather(weights, example["id"]) if weights.shape[0] else tf.ones(())
        label = source.prepare_label(example["label"], image_size, places)
        return {"input": prepared, "label": label, "id": example["id"], "weight": weight}

    return prepare


def make_label_dataset(
    source: Source,
    rows: np.ndarray,
    *,
    image_size: int,
    batch_size: int,
    augmentation: str = "none",
    seed: int = 0,
    epoch: int | None = None,
) -> tf.data.Dataset:
    """Make batches of labels alone, in the order of `rows`, as `make_dataset` prepares them with the same arguments.

    Labels of augmented examples need the examples, too: they are read again.

    Returns:
        Dataset of {"label", "id": int64 (B,)}.
    """
    rows = np.asarray(rows, np.int64)
    prepare_all = _preparing(source, image_size, augmentation, seed, epoch)

    def prepare(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if "input" not in example:
            return example | {"label": source.prepare_label(example["label"], image_size)}
        return {name: value for name, value in prepare_all(example).items() if name in ("label", "id")}

    is_moved = epoch is not None and augmentation != "none" and source.labels_have_places
    examples = source.examples(rows) if is_moved else source.labels(rows)
    return examples.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def make_prediction_dataset(
    files: Sequence[str | Path], kind: Input, batch_size: int
) -> tuple[tf.data.Dataset, list[str], list[tuple[str, str]]]:
    """Make batches of files without labels, prepared as for training.

    A file that was deleted or changed after the check is left out of the batches: `explain_lost` says why.

    Args:
        files: files, and folders that are searched with all sub-folders; hidden files in them, and files of
            other programs (`Thumbs.db`, `@eaDir`), are ignored.
        kind: what the files hold, for example `model.metadata.input`; files of more bits than its `bit_depth` are
            left out.
        batch_size: examples per batch; the last batch may be shorter.

    Returns:
        Dataset of {"input": (B, ...), "id": int64 (B,)}; the list of paths, in which
        each id is a position; and (path, reason) of the files that are left out.

    Raises:
        InputError: no file is usable.
    """
    paths = _list_files(files)
    good, bad = [], []
    for path, result in zip(paths, scan_files(kind, paths), strict=True):
        reason = kind.describe_excess(result) if isinstance(result, Scanned) else str(result)
        if reason:
            bad.append((path, reason))
        else:
            good.append((path, result))
    if not good:
        received = f"{len(bad)} that are not usable, the first: {bad[0][0]} ({bad[0][1]})" if bad else "no file"
        raise InputError(f"`files` must hold at least one usable {kind.noun[0]}. Received: {received}.")
    formats = sorted({result.format for _, result in good})
    columns = {
        "path": encode_paths(path for path, _ in good),
        "fingerprint": np.array([result.fingerprint for _, result in good], np.int64),
        "id": np.arange(len(good)),
    }
    if any(result.replacement for _, result in good):
        columns["replacement"] = encode_paths(result.replacement for _, result in good)
    known = dataclasses.replace(kind, formats=tuple(formats))

    def prepare(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"input": known.prepare(read_raw(row)), "id": row["id"]}

    dataset = tf.data.Dataset.from_tensor_slices(columns).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.ignore_errors().batch(batch_size).prefetch(tf.data.AUTOTUNE)
    return dataset, [path for path, _ in good], bad


def explain_lost(paths: Sequence[str], ids: np.ndarray, kind: Input) -> list[tuple[str, str]]:
    """Return the files that passed the check but are in no batch, and the reason for each.

    Args:
        paths: from `make_prediction_dataset`.
        ids: int64 (N,), of all examples in its batches.
        kind: as for `make_prediction_dataset`.

    Returns:
        (path, reason) of each missing file.
    """
    lost = [paths[int(row)] for row in np.setdiff1d(np.arange(len(paths)), ids)]
    results = scan_files(kind, lost, "Checking again") if lost else []
    changed = "changed since it was checked"
    return [
        (path, str(now) if isinstance(now, BadExampleError) else changed)
        for path, now in zip(lost, results, strict=True)
    ]


def _list_files(files: Sequence[str | Path]) -> list[str]:
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
