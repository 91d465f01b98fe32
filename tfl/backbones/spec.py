"""The facts about one network, and the functions that build it."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfl.config import STATE_POOLINGS
from tfl.config.values import has_pairs
from tfl.errors import InputError
from tfl.inputs.files import input_files


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """Facts about a network that are needed before it is built.

    Attributes:
        name: as keras.applications spells it.
        family: the module of keras.applications that holds the network and its preprocessing ("resnet_v2").
        image_size: pixels per side at pre-training.
        minimum_size: smallest number of pixels per side that Keras accepts.
        num_features: channels of the feature map, at alpha=1.
        imagenet_alphas: width multipliers with published weights; empty if the network has no multiplier.
        network: of a network of your own: a function from RGB in [0, 255], a Keras tensor (B, S, S, 3), to the feature
            map (B, h, w, C); see `register_backbone`. It may also return vectors (B, C), and with another `input` it
            takes what that prepares. None: the network of keras.applications.
        input: what an example is, the name of an input in `tfl.inputs`.
        load: copies the published weights into a network that `network` built; None: there are none.
        largest_size: the largest size of an example that it takes; 0: any.
        tokenizer: divides a text into the pieces that the network knows, as `tfl.inputs.text.wordpiece` writes it; "":
            the network takes no texts.
        is_causal: whether a piece of a text knows only those before it, so that the first one says nothing of a text.
        pairs: returns the facts about the same network for pairs of texts; None: it takes none.
        loaders: of files of weights that only this network has, by their endings, such as ".npz"; each copies the
            weights of a file into a network that `network` built.
    """

    name: str
    family: str
    image_size: int
    minimum_size: int
    num_features: int
    imagenet_alphas: tuple[float, ...] = ()
    network: Callable[[Any], Any] | None = None
    input: str = "image"
    load: Callable[[Any], None] | None = None
    largest_size: int = 0
    tokenizer: str = ""
    is_causal: bool = False
    pairs: Callable[[], "BackboneSpec"] | None = None
    loaders: Mapping[str, Callable[[Path, Any], None]] = dataclasses.field(default_factory=dict)

    def for_columns(self, columns: str) -> "BackboneSpec":
        """Return the facts about the network for examples of `data.columns`, which may be pairs of texts.

        Raises:
            InputError: the examples are pairs, and the network takes none.
        """
        if not has_pairs(columns):
            return self
        if self.pairs is None:
            raise InputError(
                f"`data.columns` must not name a second text for {self.name}, which takes no pairs of texts. "
                f"Received: data.columns={columns!r}."
            )
        return self.pairs()

    def input_of(self, channels: int) -> str:
        """Return the name of the input for images of so many channels; see `tfl.backbones.channels`.

        Raises:
            InputError: the network does not take images, or is one of your own, and there are more than 3.
        """
        if channels == 3:
            return self.input
        if self.input != BackboneSpec.input or self.network is not None:
            raise InputError(f"`data.channels` must be 3 for {self.name}. Received: data.channels={channels}.")
        return f"bands:{channels}"

    def size_of(self, image_size: int) -> int:
        """Return the size of an example for the option `data.image_size`; that of pre-training if it names none."""
        return image_size if image_size > 0 else self.image_size

    @property
    def most(self) -> float:
        """The largest size of an example that the network, or any of its kind of example, may have."""
        files = input_files(self.input)
        return self.largest_size or (files.largest if files else float("inf"))

    @property
    def has_alpha(self) -> bool:
        """Whether the network takes a width multiplier."""
        return bool(self.imagenet_alphas)

    @property
    def build(self) -> Callable[..., Any]:
        """Constructor of the network, with the arguments of those in keras.applications."""
        import keras

        return getattr(keras.applications, self.name) if self.network is None else self._build_own

    @property
    def preprocess(self) -> Callable[..., Any]:
        """The family's `preprocess_input`: RGB in [0, 255] -> the range that the network expects.

        It changes nothing for families whose preprocessing Keras already builds into the network, and for networks of
        your own, which do it themselves.
        """
        import keras

        return (
            getattr(keras.applications, self.family).preprocess_input if self.network is None else lambda image: image
        )

    def _build_own(self, *, input_tensor: Any, weights: str | None, **_: Any) -> Any:
        """Build `network` on a tensor, as keras.applications builds its networks; with published weights if asked."""
        import keras

        maps: Any = self.network(input_tensor) if self.network else None
        shape = tuple(maps.shape) if keras.backend.is_keras_tensor(maps) else type(maps).__name__
        if not isinstance(shape, tuple) or len(shape) not in (2, 4) or shape[-1] != self.num_features:
            raise InputError(
                f"`network` of {self.name} must return a feature map (B, h, w, {self.num_features}) or vectors "
                f"(B, {self.num_features}), a Keras tensor. Received: {shape}."
            )
        model = keras.Model(input_tensor, maps, name="network")
        if weights is not None and self.load is not None:
            self.load(model)
        return model


def state_poolings(spec: BackboneSpec) -> tuple[str, ...]:
    """Return the kinds of features of a network on texts (`head.pooling`): without the first piece if it is causal."""
    return tuple(name for name in STATE_POOLINGS if not (spec.is_causal and "cls" in name))
