"""Write the examples of any source into TFRecord or ArrayRecord files."""

import os
from typing import Any

from tfl.build import checked, input_of_config, reading_options
from tfl.checks import check_outside_of_sources
from tfl.config import TransferConfig
from tfl.config.values import source_kinds
from tfl.data import load_source, reading_explained, write_quarantine_csv
from tfl.data.index import Index
from tfl.data.records.manifest import Manifest, check_sizes, read_manifest
from tfl.data.records.output import LOCK, SUFFIXES, check_conversion
from tfl.data.records.plan import plan_shards
from tfl.data.records.write import Conversion
from tfl.errors import InputError
from tfl.files.locks import try_lock_file
from tfl.files.writing import expand_home, make_folder, sweep_unfinished, write_text
from tfl.progress import say


@reading_explained()
def convert_data(
    config: TransferConfig,
    output: str | os.PathLike[str],
    file_format: str = "tfrecord",
    shards: int = 0,
    data: Any = None,
) -> Manifest:
    """Write the examples of a source into files that `tfrecord:OUTPUT` reads, or into ArrayRecord files.

    A file of an example is copied as it is. Pixels, and photos that TensorFlow cannot decode, are written as PNG, which
    is lossless. Labels, ids, splits that the source brings itself, groups and times stay as they are: a run on the
    result has the same splits and the same numbers. If the process is killed, the same call goes on with the files that
    are missing; no file is ever half written.

    Args:
        config: the options; only `data.source` and how it is read, `task.name`, the kind of the backbone, and `seed` of
            the order of the examples are used.
        output: a new or empty folder, or that of an unfinished conversion: the files, `manifest.json` with the SHA-256
            of each, `labels.txt` with the names of the classes, and `quarantine.csv`.
        file_format: "tfrecord", or "array_record" for Grain.
        shards: number of files, at least one for each split; 0: one for about 1,024 examples.
        data: Python data in place of `data.source`, as for `tfl.transfer`.

    Returns:
        The manifest: names, sizes and checksums of the files.

    Raises:
        InputError: the config or the data cannot be used, or the folder holds something else.

    Example:
        >>> config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos"))
        >>> manifest = tfl.convert_data(config, "records", shards=2)
        >>> [shard.file for shard in manifest.shards]
        ['data-00000-of-00002.tfrecord', 'data-00001-of-00002.tfrecord']
        >>> splits = tfl.load_data("tfrecord:records")
    """
    config = checked(config)
    if "masks" in source_kinds(config.data.source):
        raise InputError(f"`data.source` must have labels that records hold. Received: {config.data.source!r}, masks.")
    name, folder = check_conversion(file_format, output, shards)
    source = load_source(
        config.data.source if data is None else data,
        config.data.max_bad_fraction,
        bit_depth=config.data.bit_depth,
        kind=input_of_config(config),
        **reading_options(config),
    )
    plan = plan_shards(source, shards, SUFFIXES[name], config.seed)
    try:
        check_outside_of_sources(folder, config)
        make_folder(expand_home(folder, "output"))
        with _locked(folder):
            manifest = _started(folder, Manifest(name, plan.digest, complete=False, shards=()))
            if manifest.complete:
                say(f"finished before: {folder}: {_describe(manifest)}")
                return manifest
            sweep_unfinished(expand_home(folder, "output"))
            write_quarantine_csv(folder / "quarantine.csv", source.quarantine)
            _write_names(folder, source.index)
            conversion = Conversion(source, plan, folder, manifest)
            manifest = conversion.run()
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`output`")) from error
    if conversion.re_encoded:
        say(
            f"{conversion.re_encoded} {source.kind.noun[1]} are written in another format than that of the source, "
            "with the same values."
        )
    say(f"written: {folder}: {_describe(manifest)}")
    return manifest


def _started(folder: Any, new: Manifest) -> Manifest:
    """Return the manifest of an earlier, unfinished call, or write a new one.

    Raises:
        InputError: the folder holds another conversion, or a finished file was changed.
    """
    old = read_manifest(folder)
    if old is None:
        new.write(folder)
        return new
    if (old.format, old.plan) != (new.format, new.plan):
        raise InputError(
            f"`output` must be a new or empty folder, or that of the same conversion. Received: {str(folder)!r}, which "
            "holds another conversion (other examples, format or number of files)."
        )
    present = [shard for shard in old.shards if (folder / shard.file).is_file()]
    if old.complete:
        check_sizes([folder / shard.file for shard in present], "output")
    sizes = {shard.file: (folder / shard.file).stat().st_size for shard in present}
    kept = tuple(shard for shard in present if sizes[shard.file] == shard.bytes)
    if len(kept) < len(old.shards) or not old.complete:
        say(f"{len(kept)} of the files are finished already.")
        return Manifest(old.format, old.plan, complete=False, shards=kept)
    return old


def _locked(folder: Any) -> Any:
    lock = try_lock_file(folder / LOCK)
    if lock is None:
        raise InputError(f"`output` must be used by one conversion at a time. Received: {str(folder)!r}.")
    return lock


def _write_names(folder: Any, index: Index) -> None:
    if index.label_names:
        write_text(folder / "labels.txt", "\n".join(index.label_names) + "\n")


def _describe(manifest: Manifest) -> str:
    records = sum(shard.records for shard in manifest.shards)
    size = sum(shard.bytes for shard in manifest.shards)
    return f"{records:,} examples in {len(manifest.shards)} {manifest.format} files, {size:,} bytes"
