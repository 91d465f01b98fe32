"""The trials of a search, in a SQLite file: draw values, record losses, say what mattered. It needs Optuna."""

from collections.abc import Sequence
from typing import Any

from etils import epath

from tfl.config import TransferConfig
from tfl.config.ranges import Range, Value, check_ranges, parse_ranges
from tfl.errors import InputError
from tfl.extras import check_extra

FILE = "search.db"
COMPARED = 4  # trials that must have ended before one is stopped early


def check_search(config: TransferConfig, ranges: Sequence[str], trials: int, budget_minutes: float) -> None:
    """Refuse a search that cannot be made, before anything is read.

    Args:
        config: all other options.
        ranges: as text.
        trials: their number.
        budget_minutes: the time.

    Raises:
        InputError: Optuna is not installed, or a range, a number or an option cannot be used.
    """
    parsed = parse_ranges(ranges)
    check_ranges(config, parsed)
    for name, value, least in (("trials", trials, 1), ("budget_minutes", budget_minutes, 0)):
        if value < least:
            raise InputError(f"`{name}` must be at least {least}. Received: {value}.")
    if config.pretrain.source or config.scratch.epochs:
        raise InputError(
            "`config` must have no pre-training and no comparison from scratch in a search. Received: "
            f"pretrain.source={config.pretrain.source!r}, scratch.epochs={config.scratch.epochs}."
        )
    if config.probe.solver == "ridge" and is_tuned(config, parsed):
        raise InputError(
            "`probe.solver` must not be ridge if a search fine-tunes, because its head has seen the validation split. "
            "Received: probe.solver='ridge'."
        )
    check_extra("search", "optuna", "search")


def is_tuned(config: TransferConfig, ranges: Sequence[Range]) -> bool:
    """Return whether a trial may fine-tune."""
    return bool(config.finetune.epochs) or any(one.path == "finetune.epochs" for one in ranges)


class Progress:
    """Compares a trial with those before while it trains.

    Attributes:
        stopped_after: the epoch, from 1, after which the trial was behind; 0 if it never was.
    """

    def __init__(self, trial: Any) -> None:
        self._trial, self.stopped_after = trial, 0

    def is_behind(self, epoch: int, loss: float) -> bool:
        """Return whether the smallest loss so far is above the median of the trials before at this epoch, from 1."""
        self._trial.report(loss, epoch)
        if self._trial.should_prune():
            self.stopped_after = epoch
        return bool(self.stopped_after)


class Trials:
    """The trials of one search; the same folder goes on with them.

    Args:
        folder: with the file `search.db`, which is made if it is not there.
        ranges: what is searched.
        seed: of the draws.
    """

    def __init__(self, folder: epath.Path, ranges: Sequence[Range], seed: int) -> None:
        check_extra("search", "optuna", "search")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._ranges = optuna, {one.path: _distribution(optuna, one) for one in ranges}
        self._study = optuna.create_study(
            storage=f"sqlite:///{folder / FILE}",
            study_name="search",
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=COMPARED),
        )
        # A search that goes on draws other values than its first trials.
        self._study.sampler = optuna.samplers.TPESampler(seed=seed + len(self._study.trials))

    @property
    def number(self) -> int:
        """How many trials have ended, with a loss or not."""
        return sum(trial.state.is_finished() for trial in self._study.trials)

    def start_with(self, values: dict[str, Value]) -> None:
        """Let a search that has no trial yet begin with some values."""
        waiting = self._optuna.trial.TrialState.WAITING
        if not self._study.get_trials(deepcopy=False, states=(waiting,)):  # a stopped start may have left one
            self._study.enqueue_trial(values)

    def draw(self) -> tuple[Any, dict[str, Value]]:
        """Return a new trial and its values."""
        trial = self._study.ask(self._ranges)
        return trial, dict(trial.params)

    def record(self, trial: Any, loss: float | None) -> None:
        """Store the loss of a trial; None: its values do not fit together."""
        if loss is None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, loss)

    def ranked(self) -> list[tuple[int, dict[str, Value], float]]:
        """Return number, values and loss of each trial that has a loss, the smallest loss first."""
        done = [(one.number, dict(one.params), float(one.value)) for one in self._study.trials if one.value is not None]
        return sorted(done, key=lambda one: one[2])

    def importances(self, seed: int) -> dict[str, float]:
        """Return the share of the variance of the loss that each option explains; {} if the trials do not tell.

        Reference:
            Hutter, Hoos and Leyton-Brown 2014, An efficient approach for assessing hyperparameter importance (fANOVA).
        """
        if len(self.ranked()) < 4:
            return {}
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=seed)
        try:
            return dict(self._optuna.importance.get_param_importances(self._study, evaluator=evaluator))
        except (ValueError, RuntimeError):  # all losses are equal
            return {}


def _distribution(optuna: Any, one: Range) -> Any:
    if one.choices:
        return optuna.distributions.CategoricalDistribution(one.choices)
    if isinstance(one.low, int):
        return optuna.distributions.IntDistribution(one.low, one.high, log=one.is_log)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.is_log)
