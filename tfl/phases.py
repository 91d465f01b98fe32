"""The two phases of a run: solve the head on the frozen backbone, then train on from there."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.config import TransferConfig
from tfl.data import Splits, make_dataset
from tfl.errors import InputError
from tfl.evaluation import Predictions, predict
from tfl.features import assign_head, choose_head, extract_features
from tfl.models.batch_norm import shorten_statistics
from tfl.models.classifier import load_model, logits_layer, save_model, split_at_features
from tfl.models.freezing import freeze, unfreeze
from tfl.models.inference import Outputs
from tfl.models.regularization import Penalty, regularize
from tfl.progress import say
from tfl.training import balanced_class_weight, compile, fit, make_loss, make_optimizer, make_schedule
from tfl.training.contract import Contract, check_evaluation
from tfl.workdir import CHECKPOINTS, Workdir, read_json, write_csv, write_json

HIDDEN_HEAD_EPOCHS = 200
HIDDEN_HEAD_PATIENCE = 10
HIDDEN_HEAD_L2 = 1e-4  # where `probe.l2` leaves the choice to us
EXTRACTION_BATCH = 64  # no gradients are kept, so a batch may be larger than in training


class Job:
    """The state that the phases of one run hand to each other.

    Attributes:
        config: the run's options.
        splits: its data.
        model: the classifier; each phase leaves its result in it.
        run: the folder.
    """

    def __init__(self, config: TransferConfig, splits: Splits, model: keras.Model, run: Workdir) -> None:
        self.config, self.splits, self.model, self.run = config, splits, model, run
        self.target = config.head.target
        self.head_l2 = config.probe.l2 or HIDDEN_HEAD_L2
        self.kept = "random weights"
        self.phases: dict[str, Any] = {}
        self.contract: dict[str, Any] = {}
        self.comparison: dict[str, Any] = {}

    def dataset(self, split: str, epoch: int | None = None) -> tf.data.Dataset:
        """Return one split as batches; with an epoch shuffled and augmented, without one in order and as it is."""
        data = self.config.data
        return make_dataset(
            self.splits.source,
            getattr(self.splits, split),
            image_size=self.model.metadata.image_size,
            batch_size=data.batch_size if epoch is not None else EXTRACTION_BATCH,
            augmentation=data.augmentation if epoch is not None else "none",
            seed=self.config.seed,
            epoch=epoch,
        )

    def predictions(self, split: str) -> Predictions:
        """Run the model over one split, every example once, and let the contract see that it was so."""
        table = predict(self.model, self.dataset(split), self.target, f"evaluate {split}")
        self.contract[f"evaluate {split}"] = check_evaluation(table.ids, getattr(self.splits, split))
        return table

    def solve_head(self) -> None:
        """Phase 1: run the frozen backbone once, and solve the head on its features."""
        if self.config.probe.solver == "none" or self._restore("probe"):
            return
        freeze(self.model, "all")
        promise = Contract.before(self.model, phase="probe")
        features = extract_features(self.model, {name: self.dataset(name) for name in ("train", "validation")})
        solve = self._train_hidden_head if self.config.head.hidden_units else self._solve_linear_head
        record = solve(**features)
        regularize(self.model, head_l2=self.head_l2)
        self._finish_phase("probe", promise.verify(penalty=Penalty(head_l2=self.head_l2)), record)

    def _solve_linear_head(self, train: Outputs, validation: Outputs) -> dict[str, Any]:
        layer = logits_layer(self.model)
        result = choose_head(train, validation, l2=self.config.probe.l2, target=self.target, num_outputs=layer.units)
        assign_head(layer, result.chosen)
        self.head_l2 = result.chosen.l2
        return {
            "l2": result.chosen.l2,
            "objective": result.chosen.objective,
            "gradient_norm": result.chosen.gradient_norm,
            "path": [{"l2": l2, "objective": value, "validation_loss": loss} for l2, value, loss in result.path],
        }

    def _train_hidden_head(self, train: Outputs, validation: Outputs) -> dict[str, Any]:
        """With hidden layers the problem is not convex: train the head alone, on the stored features."""
        _, head = split_at_features(self.model)
        regularize(self.model, head_l2=self.head_l2)
        compile(head, make_optimizer("adam", 1e-3), loss=self.target)
        stop = keras.callbacks.EarlyStopping(patience=HIDDEN_HEAD_PATIENCE, restore_best_weights=True)
        history = fit(
            head,
            train.values,
            train.labels,
            batch_size=self.config.data.batch_size,
            epochs=HIDDEN_HEAD_EPOCHS,
            validation_data=(validation.values, validation.labels),
            callbacks=[stop],
            seed=self.config.seed,
            verbose=False,
        )
        best = int(np.argmin(history.history["val_loss"]))
        say(f"hidden head: {len(history.epoch)} epochs on stored features, best {best + 1}")
        return {"l2": self.head_l2, "epochs": len(history.epoch), "best_epoch": best + 1}

    def finetune(self) -> None:
        """Phase 2: unfreeze from the top and train on; keep the result only where validation is better."""
        if not self.config.finetune.epochs:
            return
        options = self.config.finetune
        before = self.model.get_weights()
        table = unfreeze(self.model, options.unfreeze, batch_norm=options.batch_norm)
        regularize(self.model, head_l2=self.head_l2, l2=options.l2, l2_sp=options.l2_sp)
        steps = options.epochs * -(-len(self.splits.train) // self.config.data.batch_size)
        self._compile(steps)
        promise = Contract.before(self.model, phase="finetune")
        history = self._fit()
        self._check_converged(history)
        self._write_history(history)
        record = {"unfrozen": options.unfreeze, "trainable_parameters": table.trainable}
        self._finish_phase(
            "finetune", promise.verify(history, steps=len(history.epoch) * steps // options.epochs), record
        )
        self._keep_the_better(before)

    def _compile(self, steps: int) -> None:
        options = self.config.finetune
        if options.batch_norm == "train":
            shorten_statistics(self.model, steps)
        schedule = make_schedule(
            options.schedule, options.learning_rate, steps, warmup_fraction=options.warmup_fraction
        )
        optimizer = make_optimizer(
            options.optimizer,
            schedule,
            momentum=options.momentum,
            nesterov=options.nesterov,
            weight_decay=options.weight_decay,
        )
        compile(
            self.model,
            optimizer,
            loss=make_loss(self.target, options.label_smoothing),
            layer_decay=options.layer_decay,
            clip_norm=options.clip_norm,
            ema=options.ema,
        )

    def _fit(self) -> keras.callbacks.History:
        options = self.config.finetune
        (self.run / "tensorboard").rmtree(missing_ok=True)  # of an earlier start that was interrupted
        labels = self.splits.index.labels[self.splits.train]
        return fit(
            self.model,
            lambda epoch: self.dataset("train", epoch),
            epochs=options.epochs,
            validation_data=self.dataset("validation"),
            callbacks=[
                keras.callbacks.EarlyStopping(
                    patience=options.early_stopping or options.epochs, restore_best_weights=True
                ),
                keras.callbacks.TensorBoard(self.run / "tensorboard", write_graph=False),
            ],
            class_weight=balanced_class_weight(labels) if options.class_weight == "balanced" else None,
            mixup=options.mixup,
            cutmix=options.cutmix,
            seed=self.config.seed,
        )

    def _check_converged(self, history: keras.callbacks.History) -> None:
        """Refuse a result of which half the steps were not finite: its figures would be those of an accident."""
        skipped, losses = int(sum(history.history["skipped_steps"])), history.history["val_loss"]
        if 2 * skipped >= history.steps or not np.isfinite(losses[-1]):
            raise InputError(
                "`finetune.learning_rate` must be small enough for training to converge. Received: finetune."
                f"learning_rate={self.config.finetune.learning_rate}: {skipped} of {history.steps} steps had a "
                f"non-finite loss or gradient, and the validation loss ended at {losses[-1]:.4g}."
            )

    def _keep_the_better(self, before: list[np.ndarray]) -> None:
        if "probe" not in self.phases:
            return
        solved, tuned = (self.phases[name]["validation"] for name in ("probe", "finetune"))
        losses = f"validation loss {tuned['loss']:.4f} fine-tuned, {solved['loss']:.4f} frozen"
        if tuned["loss"] < solved["loss"]:
            say(f"fine-tuning is kept: {losses}")
            return
        say(f"fine-tuning is not kept, it is no better: {losses}")
        self.model.set_weights(before)
        self.kept = "probe"

    def _finish_phase(self, name: str, contract: dict[str, Any], record: dict[str, Any]) -> None:
        """Measure the phase on validation, and store its result so that an interrupted run goes on from here."""
        record["validation"] = self.predictions("validation").metrics()
        if self.config.scratch.epochs:
            record["test"] = self.predictions("test").metrics()
        self.phases[name], self.contract[name], self.kept = record, contract, name
        if name == "probe" and self.config.finetune.epochs:
            save_model(self.model, self.run / CHECKPOINTS / f"{name}.keras")
            write_json(self.run / CHECKPOINTS / f"{name}.json", {"phase": record, "contract": contract})

    def _restore(self, name: str) -> bool:
        """Take a phase that an interrupted run of the same config had finished."""
        file = self.run / CHECKPOINTS / f"{name}.json"
        if not file.exists():
            return False
        try:
            stored = read_json(file)
            self.model.set_weights(load_model(file.with_suffix(".keras")).get_weights())
        except InputError as error:
            say(f"{name}: done again, what an earlier start stored is damaged: {error}")
            return False
        self.phases[name], self.contract[name], self.kept = stored["phase"], stored["contract"], name
        self.head_l2 = stored["phase"]["l2"]
        say(f"{name}: finished by an earlier start of this run; going on from there")
        return True

    def _write_history(self, history: keras.callbacks.History) -> None:
        names = list(history.history)
        rows = zip(history.epoch, *(history.history[name] for name in names), strict=True)
        write_csv(self.run / "history.csv", ["epoch", *names], rows)

    def report(self) -> dict[str, Any]:
        """Evaluate the kept model on every example of validation and test, and write the predictions."""
        test = self.predictions("test")
        test.write_csv(self.run / "predictions.csv", self.splits.index.ids, self.model.metadata.class_names)
        metrics = {
            "test": test.metrics(),
            "validation": self.phases[self.kept]["validation"],
            "kept": self.kept,
            "num_examples": {name: len(getattr(self.splits, name)) for name in ("train", "validation", "test")},
            "phases": self.phases,
            "contract": self.contract,
        }
        if self.config.scratch.epochs:
            names = {"probe": "frozen", "finetune": "fine_tuned"}
            metrics["comparison"] = {names[name]: phase["test"] for name, phase in self.phases.items()}
        return metrics
