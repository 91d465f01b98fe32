"""Reach MLflow's tracking store: a server, a database or a folder."""

import dataclasses
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from tfl.errors import InputError
from tfl.version import install_command

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "tfl"  # if MLFLOW_EXPERIMENT_NAME is not set
PATIENCE = 5  # seconds in which a server must answer; MLflow itself tries for 4 minutes
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


@dataclasses.dataclass(frozen=True)
class Store:
    """A tracking store that can be used.

    Attributes:
        client: of MLflow; nothing here changes MLflow's global state.
        uri: of the store, without user name and password.
    """

    client: "MlflowClient"
    uri: str

    def experiment(self) -> str:
        """Return the id of the experiment that gets the runs; it is made if there is none.

        Raises:
            InputError: the experiment was deleted.
        """
        from mlflow.exceptions import MlflowException

        if (found := self.find_experiment()) is not None:
            return found
        try:
            return self.client.create_experiment(experiment_name())
        except MlflowException:  # another run has made it at the same moment
            if (found := self.find_experiment()) is None:
                raise
            return found

    def find_experiment(self) -> str | None:
        """Return the id of the experiment, None if there is none yet.

        Raises:
            InputError: the experiment was deleted.
        """
        number, name = os.environ.get("MLFLOW_EXPERIMENT_ID"), experiment_name()
        found = self.client.get_experiment(number) if number else self.client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "deleted":
            option, given = ("MLFLOW_EXPERIMENT_ID", number) if number else ("MLFLOW_EXPERIMENT_NAME", name)
            raise InputError(f"`{option}` must not name a deleted experiment. Received: {given!r}.")
        return None if found is None else found.experiment_id


def experiment_name() -> str:
    """Return the name of the experiment that gets the runs, if MLFLOW_EXPERIMENT_ID does not choose one."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT


def open_store() -> Store:
    """Open the store that MLFLOW_TRACKING_URI names, or MLflow's default; an absent server is found within seconds.

    Raises:
        InputError: MLflow is not installed, or the store cannot be used.
    """
    try:
        from mlflow import MlflowClient, get_tracking_uri
    except ImportError as error:
        raise InputError(
            f"`tracking` must be a tracker whose package is installed: {install_command('mlflow')}. "
            "Received: tracking='mlflow'."
        ) from error
    uri = get_tracking_uri()
    try:
        _check_alive(uri)
        store = Store(MlflowClient(uri), without_password(uri))
        store.find_experiment()
    except InputError:
        raise
    except Exception as error:  # each kind of store has errors of its own
        raise _refusal(uri, error) from error
    return store


def check_alive(store: Store) -> None:
    """Raise an error if the server of a store does not answer now; otherwise MLflow would try for minutes."""
    try:
        _check_alive(store.client.tracking_uri)
    except OSError as error:
        raise _refusal(store.client.tracking_uri, error) from error


def without_password(uri: str) -> str:
    """Return an address without the user name and password that it may contain.

    Example:
        >>> without_password("https://me:secret@tracking.example.com:5000/mlflow")
        'https://tracking.example.com:5000/mlflow'
    """
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def _check_alive(uri: str) -> None:
    if urlsplit(uri).scheme not in ("http", "https"):
        return
    import requests  # as MLflow does, so that proxies are respected

    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    verify = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not insecure
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=PATIENCE, verify=verify)
    except requests.exceptions.RequestException as error:
        raise ConnectionError(f"the server does not answer ({type(error).__name__})") from error
    if answer.status_code >= 500:
        raise ConnectionError(f"the server answers with status {answer.status_code}")


def _refusal(uri: str, error: Exception) -> InputError:
    from mlflow import is_tracking_uri_set

    shown = without_password(uri)
    default = "" if is_tracking_uri_set() else ", the default of MLflow"
    return InputError(
        f"`MLFLOW_TRACKING_URI` must name a tracking store that can be used. Received: {shown!r}{default}: "
        f"{_reason(uri, str(error).replace(uri, shown)) or type(error).__name__}."
    )


def _reason(uri: str, text: str) -> str:
    """Return in a few words why a store cannot be used; the messages of MLflow fill a screen."""
    if "MLFLOW_ALLOW_FILE_STORE" in text:
        return "MLflow 3 uses a folder only if MLFLOW_ALLOW_FILE_STORE=true is set"
    if "unsupported URI" in text:
        is_database = urlsplit(uri).scheme.partition("+")[0] in _DATABASES
        return (
            "a database needs more than mlflow-skinny: pip install mlflow"
            if is_database
            else "MLflow has no such store"
        )
    return " ".join(text.split()).partition(". ")[0][:200].rstrip(".")
