"""Record runs with MLflow, in the store of MLFLOW_TRACKING_URI and the experiment of MLFLOW_EXPERIMENT_NAME."""

from collections.abc import Mapping
from typing import Any

from tfl.tracking.mlflow_run import MlflowRun
from tfl.tracking.mlflow_store import Store, open_store
from tfl.tracking.tracker import Tracker
from tfl.version import VERSION
from tfl.workdir import Workdir

PARENT = "mlflow.parentRunId"  # MLflow shows a run with this tag below the other


class MlflowTracker(Tracker):
    """Records runs with MLflow. MLflow's global state, such as its active run, is neither read nor changed.

    The runs inside a run (pre-training, from scratch) are runs below it.
    """

    name = "mlflow"

    def check(self) -> None:
        """Check that MLflow is installed, and that its store answers.

        Raises:
            InputError: it is not installed, or the store cannot be used.
        """
        open_store()

    def begin(self, folder: Workdir, record: Mapping[str, Any], parent: Mapping[str, Any]) -> MlflowRun:
        """Begin a run that is named after the workdir; or continue the recorded one, if the store still has it."""
        store = open_store()
        found = _find(store, record)
        if found is None:
            tags = _tags(folder)
            if parent.get("uri") == store.uri:
                tags[PARENT] = parent["run_id"]
            found = store.client.create_run(store.experiment(), run_name=folder.path.absolute().name, tags=tags)
        run = MlflowRun(store, found, folder)
        if record:
            store.client.update_run(run.id, status="RUNNING")
        run.log_options()
        return run


def _find(store: Store, record: Mapping[str, Any]) -> Any:
    """Return the recorded run; None if it was deleted, or is in another store."""
    from mlflow.exceptions import MlflowException

    if record.get("uri") != store.uri:
        return None
    try:
        run = store.client.get_run(str(record.get("run_id")))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run.info.lifecycle_stage == "active" else None


def _tags(folder: Workdir) -> dict[str, str]:
    """Return the tags of a new run: what tfl knows, and what MLflow finds out, such as user and git commit."""
    from mlflow.tracking.context.registry import resolve_tags
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    own = {
        "tfl.version": VERSION,
        "tfl.source": str(folder.read_config()["data"]["source"]),
        "tfl.workdir": str(folder.path.absolute()),
    }
    return {name: str(value)[:MAX_TAG_VAL_LENGTH] for name, value in resolve_tags(own).items()}
