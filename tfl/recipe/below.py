"""The part below the cut: run it once for both phases, which both need its output."""

from tfl.features import Extractor
from tfl.models.cuts import split_frozen
from tfl.models.freezing import select_layers, train_only
from tfl.recipe.run import Run


def why_not_once(run: Run) -> str:
    """Return why fine-tuning must run the part below the cut in every epoch; "" if its output may be stored."""
    options, augmentation, several = run.config.finetune, run.config.data.augmentation, run.splits.source.kind.noun[1]
    if options.mixup or options.cutmix:
        return f"mixup and cutmix change the {several}"
    if augmentation != "none" and not run.config.features.views:
        return f"augmentation {augmentation!r} changes the {several} (features.views > 0 stores some versions)"
    return ""


def continue_from_below(run: Run, extractor: Extractor) -> None:
    """Store the activations that fine-tuning trains on, and let phase 1 compute its features from them.

    So each version of an image is read and augmented once, and the part below the cut runs once. This is done only if
    it is certain that fine-tuning stores them: if versions of the images were asked for, and if there is no budget,
    which may end the run after the solved head. The layers of the model must all be frozen, and still are afterwards.

    Args:
        run: the run, in phase 1.
        extractor: of the features of phase 1.
    """
    options, views, train = run.config.finetune, run.views(), run.rows("train")
    is_used = options.epochs > 1 and views and not run.config.budget_minutes and not why_not_once(run)
    if not is_used or not extractor.count_missing(train, views):
        return
    trained = select_layers(run.model, options.unfreeze, from_top=True, batch_norm=options.batch_norm)
    train_only(run.model, trained, options.batch_norm)
    halves = split_frozen(run.model)
    train_only(run.model, ())
    if halves is None or not halves.lower.weights or halves.lower.output is extractor.model.output:
        return
    below = run.extractor(halves.lower)
    if below.has_room(len(views) * len(train) + len(run.rows("validation"))):
        below.fill(train, views, "activations of train")
        extractor.continue_from(below)
