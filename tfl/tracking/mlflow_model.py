"""Write a classifier as an MLflow model: a folder with the `.keras` file and its signature."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

NEEDED = ("keras", "tensorflow")  # to load the model; tfl is not needed


def signature_of(model: Any) -> Any:
    """Return the `ModelSignature` of a classifier: a batch of prepared examples in, a batch of logits out."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    spec = model.metadata.input.spec
    kind = np.dtype(spec.dtype.as_numpy_dtype)
    kind = np.dtype(str) if kind.hasobject else kind  # texts
    inputs = TensorSpec(kind, (-1, *(-1 if side is None else side for side in spec.shape)))
    outputs = TensorSpec(np.dtype(model.compute_dtype), (-1, *model.output_shape[1:]))
    return ModelSignature(inputs=Schema([inputs]), outputs=Schema([outputs]))


def write_mlflow_model(model: Any, folder: Path, **facts: Any) -> None:
    """Write a classifier in MLflow's flavour `keras`, which holds data and no code, and which needs no tfl.

    Args:
        model: a classifier with metadata.
        folder: a new folder.
        **facts: for `mlflow.models.Model`, such as the run that made it.
    """
    from mlflow.keras import save_model
    from mlflow.models import Model

    save_model(
        model,
        str(folder),
        mlflow_model=Model(**facts),
        signature=signature_of(model),
        pip_requirements=[f"{name}=={version(name)}" for name in NEEDED],  # else MLflow loads the model to find them
        metadata=json.loads(json.dumps({"tfl": model.metadata.to_dict()})),
    )
