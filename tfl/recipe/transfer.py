"""The whole run, from data to a saved and evaluated classifier. Read `transfer` first: it shows all steps."""

import dataclasses
import os
from typing import Any

import keras
import tensorflow as tf
from etils import epath

from tfl.backbones import build_backbone, get_backbone_spec
from tfl.backbones.left import with_a_backbone
from tfl.build import checked, checked_run, load_splits
from tfl.checks import check_outside_of_sources
from tfl.config import PYTHON_DATA, TransferConfig, left_to_tfl, value_of
from tfl.data import Splits, reading_explained, write_quarantine_csv
from tfl.data.decisions import write_changes
from tfl.data.groups import write_groups
from tfl.data.index import read_splits
from tfl.distribution.strategy import make_deterministic, make_strategy
from tfl.errors import InputError
from tfl.models.classifier import Metadata, build_classifier, load_model, save_model
from tfl.models.freezing import select_layers
from tfl.models.heads import HeadSpec
from tfl.models.labels import check_labels, rule_of_task
from tfl.progress import say
from tfl.recipe.audit import audit_features
from tfl.recipe.auto import as_recorded, choose_options
from tfl.recipe.balance import Balance
from tfl.recipe.budget import Budget
from tfl.recipe.choice import choose_backbone
from tfl.recipe.evaluate import evaluate_kept, keep_the_better
from tfl.recipe.finetune import finetune
from tfl.recipe.finished import TransferResult, say_result
from tfl.recipe.inner_runs import Pretraining, prepare_pretraining, prepare_scratch
from tfl.recipe.plan import SayPlan, say_phases, say_plan
from tfl.recipe.pooling import choose_pooling
from tfl.recipe.probe import solve_head
from tfl.recipe.result import PhaseResult
from tfl.recipe.run import Run
from tfl.recipe.shorten import shorten
from tfl.recipe.size import choose_size
from tfl.recipe.unused import unused_options
from tfl.recipe.views import pretrain_on_views
from tfl.recipes import load_recipe
from tfl.report import write_report
from tfl.tasks import get_task
from tfl.tracking.guard import Tracking
from tfl.workdir import DECISIONS, GROUPS, REPORT, Workdir, write_json

_KNOWN_TO_ALL = ("all", "auto", "0", "1", "2")  # values of `finetune.unfreeze` that suit every backbone


@reading_explained()
def transfer(
    config: TransferConfig | str | os.PathLike[str], workdir: epath.PathLike, data: Any = None
) -> TransferResult:
    """Train a classifier on a pretrained backbone and your data, evaluate it and save it.

    Phase 1 runs the frozen backbone once over the images and solves the head on its features. Phase 2
    (`finetune.epochs` > 0) unfreezes layers from the top and continues to train; its result is kept only if its
    validation loss is lower. The test split is used once, at the end.

    Args:
        config: all options; see `tfl.config`. Or a source, "folder:photos" or the path of a folder: then the options
            are those of the recipe for your own photos (`configs/folder.py`).
        workdir: the folder of the run. If you repeat the same command, an unfinished run continues from its last
            finished phase, and a finished run is only reported as finished.
        data: data to use instead of `config.data.source`: `(images, labels)` arrays, a dict of splits, or a
            `tf.data.Dataset` of examples; see `tfl.load_data`.

    Returns:
        The model, its metrics and the folder.

    Raises:
        InputError: the config, the data or the workdir cannot be used; raised before anything slow starts.
        ContractError: a check of the training contract failed (see `tfl.training.contract.checks`); no result is
            reported.

    Example:
        >>> result = tfl.transfer("photos", "runs/tuned")  # the recipe: a solved head, then fine-tuning
        >>> config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos"))
        >>> result = tfl.transfer(config, "runs/photos")  # your own options: here the solved head alone
        >>> accuracy = result.metrics["test"]["accuracy"]

    Reference:
        Kumar et al. 2022, Fine-tuning can distort pretrained features and underperform
        out-of-distribution, arXiv:2202.10054 (solve the head first, then fine-tune).
    """
    config = _prepare(checked_run(config_of(config, data), workdir))
    Tracking(config.tracking, Workdir(workdir)).check()
    result = _run(config, workdir, data)
    say_result(result)
    return result


def prepared(config: TransferConfig) -> TransferConfig:
    """Check a config, warn about options without effect, and prepare TensorFlow for it; return the checked config."""
    return _prepare(checked(config))


def _prepare(config: TransferConfig) -> TransferConfig:
    for path, reason in unused_options(config).items():
        say(f"Warning: {path}={value_of(config, path)!r} has no effect, because {reason}.")
    make_strategy(config.strategy)  # must come before any other TensorFlow operation
    if config.deterministic:
        make_deterministic()
    return config


def config_of(config: TransferConfig | str | os.PathLike[str], data: Any) -> TransferConfig:
    """Return the config of a run on a source or on Python data, from the first argument of `transfer`."""
    if isinstance(config, TransferConfig) and data is not None:
        return dataclasses.replace(config, data=dataclasses.replace(config.data, source=PYTHON_DATA))
    if isinstance(config, TransferConfig):
        return config
    if not isinstance(config, (str, os.PathLike)):
        raise InputError(
            "`config` must be a TransferConfig, a source such as 'folder:photos', or the path of a folder. "
            f"Received: {type(config).__name__}."
        )
    if data is not None:
        raise InputError(f"`config` must be a TransferConfig if `data` is given. Received: config={str(config)!r}.")
    return load_recipe(source=config)


def _run(
    config: TransferConfig,
    workdir: epath.PathLike,
    data: Any,
    splits: Splits | None = None,
    tell: SayPlan = say_plan,
) -> TransferResult:
    with Workdir.open(workdir, config.to_dict()) as run, Tracking(config.tracking, run) as tracking:
        check_outside_of_sources(run.path, config)
        config = as_recorded(config, run)
        finished = run.read_metrics()
        if finished is None:
            return _train(config, run, data, splits, tell, tracking)
        splits, model = _data(config, data, run, splits), load_model(run.path)
        say(f"{run.path}: this run is finished")
        if not (run / REPORT).exists():
            _report(run, config, model, splits)
        tracking.finish(model)
        return TransferResult(model, finished, run.path)


def _train(
    config: TransferConfig, folder: Workdir, data: Any, splits: Splits | None, tell: SayPlan, tracking: Tracking
) -> TransferResult:
    if config.finetune.unfreeze not in _KNOWN_TO_ALL:
        # To refuse a misspelt layer before a long look at the data.
        make_backbone(with_a_backbone(config, folder), "none")
    budget, left = Budget(config.budget_minutes), set(left_to_tfl(config))
    splits = _data(config, data, folder, splits)
    config = choose_options(choose_size(choose_backbone(config, splits, budget), splits), splits)
    names = output_names(config, splits)
    Balance.of(config.finetune, get_task(config.task.name), splits)  # refuses what the data does not allow
    config = choose_pooling(config, splits)
    pretraining = prepare_pretraining(config) if config.pretrain.source else None
    scratch = prepare_scratch(config) if config.scratch.epochs else None
    # The weights may have to be downloaded, so they come after everything that can be wrong with the data.
    model = make_classifier(make_backbone(config, config.backbone.weights), config, names)
    folder.begin(config.to_dict())  # from here on the folder belongs to this config: all its inputs were found
    tracking.begin()
    _write_splits(config, splits, folder)
    tell(config, splits, model)
    if pretraining is not None:
        model = make_classifier(_pretrained(config, folder, pretraining), config, names)
    run = _in_time(Run(config, splits, model, folder, tracking, budget), left)
    kept, phases, choice = fit_phases(run)
    metrics = evaluate_kept(run, kept, phases, choice)
    if scratch is not None:
        metrics["comparison"]["from_scratch"] = _from_scratch(scratch, folder, data)
    if folder.writes:
        save_model(model, folder / "model.keras")
        write_json(folder / "metrics.json", metrics)  # the last result: this file marks the run as finished
    _report(folder, config, model, splits)
    tracking.finish(model)
    return TransferResult(model, metrics, folder.path)


def _in_time(run: Run, may_change: set[str]) -> Run:
    """Return the run with fewer versions and epochs if its budget needs that; config.json then has the new values."""
    config = shorten(run, may_change)
    if config == run.config:
        return run
    if run.folder.writes:
        write_json(run.folder / "config.json", config.to_dict())
    return Run(config, run.splits, run.model, run.folder, run.tracking, run.budget)


def fit_phases(run: Run) -> tuple[PhaseResult, list[PhaseResult], dict[str, Any]]:
    """Run both phases; the model then has the weights of the better one.

    Returns:
        The phase that is kept, all phases, and the losses that decided; see `keep_the_better`.
    """
    probe = solve_head(run)
    if probe is not None:
        audit_features(run, probe)
    tuned = finetune(run, probe)
    kept, choice = keep_the_better(run, probe, tuned)
    return kept, [phase for phase in (probe, tuned) if phase is not None], choice


def _report(run: Workdir, config: TransferConfig, model: keras.Model, splits: Splits) -> None:
    """Write the report. If this fails, the run is still finished, and the same command writes a missing report."""
    if not run.writes:
        return
    try:
        write_report(run.path, model, splits, gallery=config.report.gallery)
    except (InputError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0]
        say(f"{REPORT} was not written: {reason} The run is finished; `tfl report` can write the report.")


def make_backbone(config: TransferConfig, weights: str) -> keras.Model:
    """Build the backbone of a config, and check that it has the layers that are to be trained."""
    keras.utils.set_random_seed(config.seed)  # all random weights come from this seed
    with make_strategy(config.strategy).scope():
        backbone = build_backbone(
            config.backbone.name,
            image_size=config.data.image_size,
            alpha=config.backbone.alpha,
            weights=weights,
            channels=config.data.channels,
            columns=config.data.columns,
        )
    try:
        select_layers(backbone, config.finetune.unfreeze, from_top=True, batch_norm=config.finetune.batch_norm.lower())
    except InputError as error:
        raise InputError(str(error).replace("`what`", "`finetune.unfreeze`")) from error
    return backbone


def _pretrained(config: TransferConfig, run: Workdir, pretraining: Pretraining) -> keras.Model:
    """Train the backbone from random weights on another source, and return it with the trained weights."""
    say(f"pre-training on {config.pretrain.source}, in {run / 'pretrain'}")
    if pretraining.examples is None:
        _run(pretraining.config, run / "pretrain", None, pretraining.splits, say_phases)
    else:
        pretrain_on_views(pretraining.config, run / "pretrain", pretraining.examples)
    say(f"transfer to {config.data.source}")
    return make_backbone(config, str(run / "pretrain"))


def _from_scratch(scratch: TransferConfig, run: Workdir, data: Any) -> dict[str, Any]:
    """Train the same network on the same labels without any pre-training, and return its test metrics."""
    say(f"for comparison: the same network from scratch, in {run / 'scratch'}")
    return _run(scratch, run / "scratch", data, None, say_phases).metrics["test"]


def _data(config: TransferConfig, data: Any, run: Workdir, splits: Splits | None) -> Splits:
    """Open and split the data; a run that has begun must continue with the same examples."""
    splits = load_splits(with_a_backbone(config, run), data) if splits is None else splits
    if (run / "splits.csv").exists():
        splits.index.check_same(read_splits(run / "splits.csv"))
    return splits


def make_classifier(backbone: keras.Model, config: TransferConfig, names: tuple[str, ...]) -> keras.Model:
    """Put the head that a config and the names of the outputs need on a backbone."""
    spec = get_backbone_spec(config.backbone.name).for_columns(config.data.columns)
    task = get_task(config.task.name)
    head = HeadSpec(
        task.num_outputs(len(names)),
        config.head.pooling,
        tuple(config.head.hidden_units),
        config.head.dropout,
        task.stands_on,
    )
    metadata = Metadata(
        backbone=spec.name,
        alpha=config.backbone.alpha,
        image_size=spec.size_of(config.data.image_size),
        target=task.name,
        class_names=names,
        bit_depth=config.data.bit_depth,
        kind=spec.input_of(config.data.channels),
        window=config.data.window,
        scaled_decoding=config.data.scaled_decoding,
        tokenizer=spec.tokenizer,
    )
    with make_strategy(config.strategy).scope():
        return build_classifier(backbone, head, metadata)


def output_names(config: TransferConfig, splits: Splits) -> tuple[str, ...]:
    """Return the class names, or a name for each value if the labels are values; refuse labels of another kind."""
    task, labels = get_task(config.task.name), splits.index.labels
    misfit = task.labels.describe_misfit(labels)
    if misfit:
        raise InputError(f"`task.name` must fit the labels. Received: task.name={task.name!r}, labels are {misfit}")
    if not task.labels.is_numbered_by_tfl:
        check_labels(labels, rule_of_task(task, labels.shape[1] if labels.ndim == 2 else 1), "labels")
    return task.labels.output_names(labels, splits.index.label_names)


def _write_splits(config: TransferConfig, splits: Splits, run: Workdir) -> None:
    if run.writes:
        splits.index.write_csv(run / "splits.csv")
        write_quarantine_csv(run / "quarantine.csv", splits.quarantine)
        if splits.changes:
            write_changes(run / DECISIONS, splits.changes)
        if config.data.groups != "none":
            write_groups(run / GROUPS, splits.index)
