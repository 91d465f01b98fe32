"""Find the file or workdir that the option `backbone.weights` names."""

from etils import epath

from tfl.backbones.content import content_of
from tfl.backbones.spec import BackboneSpec
from tfl.errors import InputError
from tfl.files.existing import nearest_sibling
from tfl.workdir import check_finished, read_config

PUBLISHED, RANDOM = "imagenet", "none"


def find_weights(weights: str, spec: BackboneSpec, alpha: float) -> epath.Path:
    """Return the file that `backbone.weights` names; refuse a workdir of another network.

    Args:
        weights: path of a `.h5`, `.weights.h5` or `.keras` file, of a file with one of the endings `spec.loaders`,
            or of a tfl workdir.
        spec: the network to build.
        alpha: its width multiplier.

    Raises:
        InputError: the path does not exist, is of another kind, or is a workdir of another network.
    """
    path = epath.Path(weights).expanduser()
    if path.is_dir():
        _check_workdir(path, spec, alpha)
        return path / "model.keras"
    if not path.exists() or path.suffix not in (".h5", ".keras", *spec.loaders):
        found = "." if path.exists() else f", which does not exist.{nearest_sibling(path)}"
        endings = ", ".join((*spec.loaders, ".h5", ".weights.h5", ".keras"))
        published = "" if spec.load is None and spec.network else "'imagenet', "
        raise InputError(
            f"`backbone.weights` must be {published}'none', a weights file ({endings}) or a tfl "
            f"workdir. Received: backbone.weights={weights!r}{found}"
        )
    return path


def _check_workdir(workdir: epath.Path, spec: BackboneSpec, alpha: float) -> None:
    check_finished(workdir, "backbone.weights")
    if not (workdir / "model.keras").exists():
        raise InputError(
            "`backbone.weights` must be a finished run if it is a folder. "
            f"Received: backbone.weights={str(workdir)!r}, which has no model.keras."
        )
    if not (workdir / "config.json").exists():
        return  # a plain folder with a model in it: `load` compares the shapes
    theirs = read_config(workdir).backbone
    content = content_of(spec.name) if theirs.sha256 else ""
    is_same = theirs.sha256 == content if content else theirs.name.lower() == spec.name.lower()
    if not is_same or theirs.alpha != alpha:
        raise InputError(
            f"`backbone.weights` must be a run of the same network, but {workdir} has {theirs.name} with alpha "
            f"{theirs.alpha}. Received: backbone.name={spec.name!r}, backbone.alpha={alpha}."
        )
