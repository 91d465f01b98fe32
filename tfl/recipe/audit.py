"""Audit a data set on its stored features, and write what was found."""

import os

import numpy as np
from etils import epath

from tfl.audit import COLUMNS, KINDS, Audit, Material, audit, count_kinds, short_audit
from tfl.audit.neighbours import MOST_EXACT
from tfl.build import checked, load_splits
from tfl.config import TransferConfig
from tfl.data import Splits, reading_explained
from tfl.data.index import read_splits
from tfl.data.split_names import SPLITS
from tfl.errors import InputError
from tfl.extras import check_extra
from tfl.files.writing import expand_home, make_folder, write_text
from tfl.progress import say
from tfl.recipe.extraction import frozen_features
from tfl.recipe.pooling import choose_features
from tfl.recipe.result import PhaseResult
from tfl.recipe.run import Run
from tfl.report.audit_page import render_audit
from tfl.tasks import get_task
from tfl.workdir import AUDIT, Workdir, naming_the_output, read_config, write_csv, write_json


@reading_explained()
def audit_data(config: TransferConfig | str | os.PathLike[str], output: epath.PathLike) -> Audit:
    """Look for wrong labels, duplicates, leaks, outliers, poor classes, shortcuts and placeholders in a data set.

    The audit works on the features of the frozen backbone. They come from the feature store, where a run has left
    them; missing ones are computed and stored. Nothing is removed or changed: a person decides, and
    `data.decisions=FILE` uses the decisions. Nothing is fitted or chosen on the test split, whose examples are audited
    like all others.

    Args:
        config: the options of a run, of which `data`, `backbone`, `features`, `head.pooling`, `task` and `seed` are
            used; or the folder of a finished run.
        output: the folder to write to. `audit.csv` has one row for each finding (id, kind, score, evidence,
            suggestion), `audit.json` the same findings and more about each, `near_duplicates.csv` the group of every
            example that has near duplicates. `audit.html` shows the findings with their pictures, and saves what a
            person decides as `decisions.csv`.

    Returns:
        The findings.

    Raises:
        InputError: the config, the data or the run cannot be used, the output cannot be written, or the packages of
            the extra `audit` are not installed.

    Example:
        >>> found = tfl.audit_data("runs/photos", "audit")
        >>> found.counts
        {...}
    """
    check_extra("audit", "cleanlab", "audit")
    folder = _check_output(output)
    if isinstance(config, TransferConfig):
        config, recorded, weights = checked(config), None, ""
    else:
        run = Workdir.open_finished(config)
        config, recorded = checked(read_config(run)), read_splits(run / "splits.csv")
        weights = str(run / "pretrain") if config.pretrain.source else ""
    splits = load_splits(config)
    if recorded is not None:
        splits.index.check_same(recorded)
    features = frozen_features(choose_features(config, splits), splits, weights)
    material = Material(splits.source, np.asarray(features.values[:]), get_task(config.task.name), config.seed)
    found = audit(material)
    _write(folder, found, splits)
    write_text(folder / "audit.html", render_audit(found, splits, config.data.source))
    if not found.findings:
        say("audit: nothing was found")
    _say_counts(found.counts)
    return found


def audit_features(run: Run, probe: PhaseResult) -> None:
    """Write the short audit of a run on the features of phase 1; those of the test split are computed if need be.

    Nothing is chosen by it, and nothing changes in the run. A run that continues keeps its earlier audit.
    """
    file = run.folder / AUDIT
    if not run.config.report.audit or probe.part is None or not run.folder.writes or file.exists():
        return
    index = run.splits.index
    if len(index) > MOST_EXACT:
        say(f"audit: left to `tfl audit`, because {len(index):,} examples are more than {MOST_EXACT:,}")
        return
    features = np.zeros((len(index), probe.part.extractor.shape[-1]), np.float32)
    for name in SPLITS:  # one after the other, as the phases ask for them: without a store they are kept by their rows
        rows = run.rows(name)
        values = np.asarray(probe.part.extractor(rows, description="features for the audit").values)
        features[rows] = values.mean(axis=tuple(range(1, values.ndim - 1)))  # over the positions of a map
    found = short_audit(Material(run.splits.source, features, run.task, run.config.seed))
    write_csv(file, COLUMNS, [finding.row for finding in found])
    _say_counts(count_kinds(found))


def _check_output(output: epath.PathLike) -> epath.Path:
    folder = expand_home(output, "output")
    if not os.fspath(output) or (folder.exists() and not folder.is_dir()):
        raise InputError(f"`output` must be a folder, a new one or one that exists. Received: {os.fspath(output)!r}.")
    return folder


def _write(folder: epath.Path, found: Audit, splits: Splits) -> None:
    make_folder(folder)
    sets, ids = found.duplicates.sets, splits.index.ids
    counts = np.bincount(sets)
    together = np.flatnonzero(counts[sets] > 1)
    write_csv(folder / "near_duplicates.csv", ("id", "group"), zip(ids[together], sets[together], strict=True))
    write_json(
        folder / "audit.json",
        {
            "num_examples": len(splits.index),
            "counts": found.counts,
            "kinds": KINDS,
            "findings": [finding.to_dict() for finding in found.findings],
        },
    )
    with naming_the_output(str(folder / "audit.csv")):
        write_csv(folder / "audit.csv", COLUMNS, [finding.row for finding in found.findings])


def _say_counts(counts: dict[str, int]) -> None:
    for kind, count in counts.items():
        say(f"audit: {count} x {kind} ({KINDS[kind]})")
