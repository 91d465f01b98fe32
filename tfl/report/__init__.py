"""Write the report of a run, which shows how far to trust the model, and its model card."""

from collections.abc import Callable

import keras
import numpy as np
from etils import epath

from tfl.build import load_splits, make_extractor
from tfl.data import Splits
from tfl.errors import InputError
from tfl.features import open_store
from tfl.files.writing import write_text
from tfl.models.classifier import load_model, split_at_features
from tfl.progress import say
from tfl.report.box_gallery import BOXES_NOTE, make_box_galleries
from tfl.report.card import render_card
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.findings import find
from tfl.report.gallery import make_galleries
from tfl.report.mask_gallery import MASKS_NOTE, make_mask_galleries
from tfl.report.page import render_page
from tfl.report.reading import read_facts
from tfl.report.text_gallery import TEXTS_NOTE, make_text_tables
from tfl.workdir import REPORT

__all__ = ["CARD", "Facts", "Finding", "find", "read_facts", "remake_report", "write_report"]

CARD = "MODEL_CARD.md"


def write_report(
    workdir: epath.PathLike,
    model: keras.Model | None = None,
    splits: Splits | None = None,
    gallery: int | None = None,
) -> None:
    """Write `report.html` and `MODEL_CARD.md` of a finished run, from the files in its workdir.

    Args:
        workdir: the folder of the finished run.
        model: its model. If `model` and `splits` are given, the report shows images with Grad-CAM heat maps.
        splits: its data.
        gallery: the number of images of each kind; None: the run's option `report.gallery`.

    Raises:
        InputError: the run is not finished, or the files cannot be written.
    """
    _render(read_facts(workdir), model, splits, gallery)


def _render(facts: Facts, model: keras.Model | None, splits: Splits | None, gallery: int | None) -> None:
    most = facts.config.report.gallery if gallery is None else gallery
    examples = facts.nouns[1]
    galleries, note = [], f"The {examples} were not available when this report was made."
    if model is not None and splits is not None:
        if facts.task.answers_boxes:
            galleries, note = make_box_galleries(facts, splits, most), BOXES_NOTE
        elif facts.has_texts:
            galleries, note = make_text_tables(facts, splits, most), TEXTS_NOTE
        elif facts.has_maps:
            galleries, note = make_mask_galleries(facts, model, splits, most), MASKS_NOTE
        else:
            galleries, note = make_galleries(facts, model, splits, _features(facts, model, splits), most), ""
        note = note if galleries else f"No {examples} were requested, or there is nothing to show."
    if not facts.has_pictures and not facts.has_texts:
        note = f"The {examples} of this run are not pictures, so the page does not show them."
    findings = find(facts)
    write_text(facts.path / CARD, render_card(facts, findings))
    # The report is written last: a run without it gets both files again.
    write_text(facts.path / REPORT, render_page(facts, findings, galleries, note))


def remake_report(workdir: epath.PathLike, gallery: int | None = None) -> None:
    """Write the report of a finished run again, for example after an export or when missing images are back.

    If the images are missing or changed, the report is written without them, and a message says so.

    Args:
        workdir: the folder of the finished run.
        gallery: the number of images of each kind, as for `write_report`.

    Raises:
        InputError: the run is not finished.

    Example:
        >>> remake_report("runs/photos")
    """
    facts = read_facts(workdir)
    try:
        splits = load_splits(facts.config, kind=facts.metadata.input)
        splits.index.check_same(facts.splits)
    except InputError as error:
        say(f"report: without {facts.nouns[1]}: {error}")
        _render(facts, None, None, gallery)
        return
    _render(facts, load_model(facts.path), splits, gallery)


def _features(facts: Facts, model: keras.Model, splits: Splits) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from rows to features; the features of a frozen backbone are already in the store."""
    options = facts.config.features
    extractor = make_extractor(split_at_features(model)[0], splits.source, options, open_store(options))
    return lambda rows: np.asarray(extractor(rows, description="features for the report").values)
