"""The model of a service: load it in the background, warm it up, and run it in micro-batches."""

import asyncio
import contextlib
import functools
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from tfl.explain import grad_cam, overlay
from tfl.export import Artefact, load_artefact
from tfl.export.runner import num_cores
from tfl.files.box_files import in_own_pixels
from tfl.files.mask_pictures import fit_mask
from tfl.inputs import Input
from tfl.inputs.untrusted import Checked, Decoder, RefusedError
from tfl.models.classifier import Metadata
from tfl.serving.about import About, read_about
from tfl.serving.batching import Batcher
from tfl.serving.limits import RequestError, Room
from tfl.serving.metrics import Metrics
from tfl.serving.options import ServeOptions
from tfl.serving.pool import Pool
from tfl.serving.tuning import best_batch_size

T = TypeVar("T")
STALLED_SECONDS = 5.0  # a thread that decodes one image for longer counts as stalled
MOST_NUMBERS = 2**24  # of outputs in one batch
EXPLANATIONS = 4  # explanations in progress at once: each holds a gradient, and they run one at a time


class _Loaded(NamedTuple):
    artefact: Artefact
    decode: Decoder
    batcher: Batcher
    about: About


class ServedModel:
    """A model that answers requests; one thread runs the network, other threads decode images.

    Attributes:
        options: the options of the service.
        metrics: the metrics of the service.
        room: the limit for images in the service.
        failure: the error if the model could not be loaded.
        is_draining: whether the service is about to stop.
    """

    def __init__(self, options: ServeOptions) -> None:
        self.options = options
        self.room = Room(options.queue_size, Input.noun[1])  # until the model is loaded and tells the name
        self.metrics = Metrics(lambda: self.room.taken, lambda: self.is_ready)
        self.failure: BaseException | None = None
        self.is_draining = False
        self._loaded: _Loaded | None = None
        self._network = Pool(1, "network")
        self._decoders = Pool(num_cores(), "decode")
        self._turns = Pool(1, "decode-large")  # so that large images that wait do not block the other decoders
        self._explainer = Pool(1, "explain")
        self._explanations = Room(EXPLANATIONS, "explanations")

    @property
    def is_loaded(self) -> bool:
        """Whether the model is loaded and can answer."""
        return self._loaded is not None

    @property
    def is_ready(self) -> bool:
        """Whether clients should send requests."""
        return not self.trouble

    @property
    def trouble(self) -> str:
        """The reason why clients should not send requests, as a sentence; empty if they should."""
        if self.is_draining:
            return "The service is about to stop."
        if not self.is_loaded:
            return "The model is being loaded."
        patience = self.options.timeout_seconds
        for pool, most, what in (
            (self._decoders, min(STALLED_SECONDS, patience), f"Every thread that decodes {self.nouns[1]}"),
            (self._network, patience, "The network"),
        ):
            if (seconds := pool.stalled_seconds) > most:
                return f"{what} has worked on the same task for {seconds:.0f} seconds."
        return ""

    @property
    def is_working(self) -> bool:
        """Whether any thread is working; after `running` has ended, the results are not used."""
        return any(pool.is_working for pool in self._pools)

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self._decoders, self._turns, self._explainer, self._network

    @property
    def _parts(self) -> _Loaded:
        if self._loaded is None:
            raise RequestError(503, "The model is being loaded.", retry_after=1)
        return self._loaded

    @property
    def metadata(self) -> Metadata:
        """The labels, image size and target of the model.

        Raises:
            RequestError: 503; the model is not loaded yet.
        """
        return self._parts.artefact.metadata

    @property
    def nouns(self) -> tuple[str, str]:
        """The name of one example and of several."""
        return Input.noun if self._loaded is None else self.metadata.input.noun

    @property
    def can_explain(self) -> bool:
        """Whether the model has Keras layers, and its examples are pictures with one answer each."""
        if self._loaded is None or self._loaded.artefact.model is None:
            return False
        metadata = self._loaded.artefact.metadata
        return metadata.input.has_pictures and not metadata.task.answers_places

    @property
    def about(self) -> About:
        """The run of the model, its result on test, and how it says that it is not sure."""
        return self._parts.about

    def describe(self) -> dict[str, Any]:
        """Return the facts about the model and the service that are not in its metadata, ready for JSON."""
        facts, certainty = self.about
        return {
            "can_explain": self.can_explain,
            "max_request_bytes": self.options.max_request_bytes,
            "run": facts,
            "certainty": certainty.to_dict() if certainty else None,
        }

    @contextlib.asynccontextmanager
    async def running(self, on_failure: Callable[[], None], on_ready: Callable[[], None]) -> AsyncIterator[None]:
        """Load the model in the background, and answer requests while the context lasts.

        Args:
            on_failure: called if the model cannot be loaded; `failure` then has the error.
            on_ready: called when the model is loaded.
        """
        task = asyncio.create_task(self._load_and_run(on_ready))

        def note(done: asyncio.Task[None]) -> None:
            self.failure = None if done.cancelled() else done.exception()
            if self.failure:
                on_failure()

        task.add_done_callback(note)
        try:
            yield
        finally:
            task.cancel()
            for pool in self._pools:
                pool.leave()

    async def _load_and_run(self, on_ready: Callable[[], None]) -> None:
        loop, options = asyncio.get_running_loop(), self.options
        artefact, decode, batch_size, about = await loop.run_in_executor(self._network, self._load)
        run = functools.partial(self._run, artefact)
        batcher = Batcher(run, self._network, batch_size, options.batch_timeout_ms / 1000)
        self._loaded = _Loaded(artefact, decode, batcher, about)
        self.room.what = self.nouns[1]
        on_ready()
        await batcher.run()

    def _run(self, artefact: Artefact, images: np.ndarray) -> np.ndarray:
        self.metrics.batch_images.observe(len(images))
        with self.metrics.batch_seconds.time():
            return artefact.metadata.task.kept(artefact.predict_prepared(images))

    def _load(self) -> tuple[Artefact, Decoder, int, About]:
        """Load the model, and run everything once, because the first run is many times slower."""
        options = self.options
        artefact = load_artefact(options.model)
        kind = artefact.metadata.input
        decode = kind.decoder(options.max_image_pixels)
        for encoded in kind.blanks():
            decode.decode(decode.check(encoded))
        blank = np.zeros(kind.spec.shape, kind.spec.dtype.as_numpy_dtype)
        most = max(1, MOST_NUMBERS // artefact.predict_prepared(blank[None]).size)  # maps are large
        batch_size = best_batch_size(artefact.predict_prepared, blank, min(most, options.max_batch_size))
        self.metrics.batch_size.set(batch_size)
        return artefact, decode, batch_size, read_about(options.model, artefact.metadata)

    def announce(self) -> contextlib.AbstractContextManager[None]:
        """Let a batch wait for the images that are prepared in this context; see `Batcher.announce`."""
        return self._parts.batcher.announce()

    async def prepare(self, work: Callable[[], T]) -> T:
        """Run work that comes before the network in one of the decoder threads."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    async def decode(self, encoded: bytes) -> np.ndarray:
        """Return the prepared example of a file, for images the pixels, uint8 `(S, S, 3)`; see `Decoder`.

        Raises:
            RequestError: the file is refused or broken.
        """
        decoder = self._parts.decode

        def run(example: Checked) -> np.ndarray:
            with self.metrics.decode_seconds.time():
                return decoder.decode(example)

        def check() -> Checked | np.ndarray:
            example = decoder.check(encoded)
            return example if example.takes_turns else run(example)

        try:
            outcome = await self.prepare(check)
            if isinstance(outcome, np.ndarray):
                return outcome
            return await asyncio.get_running_loop().run_in_executor(self._turns, run, outcome)
        except RefusedError as error:
            raise RequestError(error.status, error.message) from error

    async def predict(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Return what the task keeps of the scores of images `(S, S, 3)`, which may run in different batches.

        This is probabilities `(N, C)`, masks `(N, S, S)`, or boxes `(N, 100, 6)`.
        """
        return await self._parts.batcher.predict(pixels)

    async def fit(self, row: np.ndarray, content: bytes) -> np.ndarray:
        """Return a mask at the size of the image in the bytes of a file, or boxes in its pixels."""
        file, size = io.BytesIO(content), self.metadata.image_size
        if self.metadata.task.answers_masks:
            return await self.prepare(lambda: fit_mask(row, file))
        return await self.prepare(lambda: in_own_pixels(row[None], [file], size)[0])

    async def explain(self, pixels: np.ndarray, number: int) -> bytes:
        """Return a PNG of one image with its Grad-CAM heat map on top; only if `can_explain` is True.

        Args:
            pixels: the image, uint8 `(S, S, 3)`.
            number: the number of the class to explain.
        """

        model: Any = self._parts.artefact.model

        def run() -> bytes:
            heat = grad_cam(model, pixels[None], number)[0]
            return tf.io.encode_png(overlay(pixels, heat)).numpy()

        with self._explanations.take(1):
            return await asyncio.get_running_loop().run_in_executor(self._explainer, run)
