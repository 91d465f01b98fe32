"""Check that a network can be built with the options of a config."""

from tfl.backbones.spec import BackboneSpec
from tfl.errors import InputError


def check_backbone(spec: BackboneSpec, image_size: int, alpha: float, weights: str) -> None:
    """Refuse what a network cannot be built with, before it is built.

    Args:
        spec: the network.
        image_size: pixels per side.
        alpha: width multiplier.
        weights: "imagenet", "none" or the path of saved weights.

    Raises:
        InputError: the network does not accept the size or alpha, or has no published weights.
    """
    if image_size < spec.minimum_size:
        raise InputError(
            f"`data.image_size` must be at least {spec.minimum_size} for {spec.name}. "
            f"Received: data.image_size={image_size}."
        )
    if image_size > spec.most:
        raise InputError(
            f"`data.image_size` must be at most {spec.most} for {spec.name}. Received: data.image_size={image_size}."
        )
    if not spec.has_alpha and alpha != 1:
        raise InputError(
            f"`backbone.alpha` must be 1 for {spec.name}: only the MobileNet families have a width multiplier. "
            f"Received: backbone.alpha={alpha}, backbone.name={spec.name!r}."
        )
    if weights == "imagenet" and spec.network is not None and spec.load is None:
        files = "".join(f" ({ending})" for ending in spec.loaders)
        raise InputError(
            f"`backbone.weights` must be 'none', a weights file{files} or a tfl workdir for {spec.name}, which has no "
            f"published weights that can be downloaded. Received: backbone.weights={weights!r}."
        )
    if weights == "imagenet" and spec.has_alpha and alpha not in spec.imagenet_alphas:
        raise InputError(
            f"`backbone.alpha` must be one of {', '.join(f'{known:g}' for known in spec.imagenet_alphas)} for the "
            f"ImageNet weights of {spec.name}. Received: backbone.alpha={alpha}."
        )
