"""The routes of the service."""

import asyncio
import base64
import contextlib
import functools
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from tfl.files.mask_pictures import to_png
from tfl.registry import did_you_mean, find_same
from tfl.runs import TOP
from tfl.serving import answers
from tfl.serving.about import title_of
from tfl.serving.bodies import read_body
from tfl.serving.encoded import read_form
from tfl.serving.limits import RequestError, Room
from tfl.serving.middleware import ErrorResponses, RequestMetrics
from tfl.serving.model import ServedModel
from tfl.serving.options import ServeOptions
from tfl.serving.page import Page
from tfl.serving.requests import read_predict_request

BODIES = 16  # bodies of the largest size that may be in memory at once
METHODS = ("GET", "HEAD", "POST")
VERBS = ("predict", "classify", "explain")
T = TypeVar("T")
PNG = "image/png"
_FORM, _NOT_IMAGES = "multipart/form-data", ("multipart/", "application/json")


def create_app(
    options: ServeOptions, on_failure: Callable[[], None] = lambda: None, on_ready: Callable[[], None] = lambda: None
) -> FastAPI:
    """Build the service as an ASGI application; it loads the model when it starts.

    Args:
        options: the model and the limits of the service.
        on_failure: called if the model cannot be loaded; `app.state.model.failure` then has the error.
        on_ready: called when the model is loaded.
    """
    model = ServedModel(options)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with model.running(on_failure, on_ready):
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)  # these pages need the internet
    app.state.model = model
    app.add_middleware(ErrorResponses)  # the innermost, so that its responses get the headers that all responses get
    if options.allow_origin:
        app.add_middleware(CORSMiddleware, allow_origins=options.allow_origin, allow_methods=METHODS)
    app.add_middleware(RequestMetrics, metrics=model.metrics)
    app.add_exception_handler(RequestError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_route)
    _add_model_routes(app, _Service(model))  # first: if two routes match, the first one sets the allowed methods
    _add_state_routes(app, model)
    return app


class _Service:
    """Handle requests within the limits of the service."""

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self._bodies = Room(BODIES * model.options.max_request_bytes, "bytes")

    async def predict(self, request: Request, name: str) -> Response:
        self._check(name)
        body = await self._read(request)
        with self.model.room.take(1) as hold:
            async with self._deadline():
                rows, by_row = await self._answer(body, hold)
                describe = functools.partial(answers.describe_predictions, rows, self.model.metadata, by_row)
                return _to_json(await self._described(describe))

    async def _described(self, describe: Callable[[], T]) -> T:
        """Describe an answer; that of masks and boxes, which takes time, in a thread."""
        return await self.model.prepare(describe) if self.model.metadata.task.answers_places else describe()

    async def _answer(self, body: bytes, hold: Callable[[int], None]) -> tuple[Sequence[np.ndarray], bool]:
        """Return what each example gets, as the task keeps it, and whether the response lists them by row."""
        with self.model.announce():
            metadata = self.model.metadata
            request = await self.model.prepare(lambda: read_predict_request(body, metadata))
            hold(len(request.instances))
            pixels = await asyncio.gather(*map(self._decode, request.instances, itertools.count()))
        rows = list(await self.model.predict(pixels))
        if metadata.task.answers_places and not isinstance(request.instances, np.ndarray):
            rows = await asyncio.gather(*map(self.model.fit, rows, request.instances))
        return rows, request.by_row

    async def classify(self, request: Request, name: str) -> Response:
        self._check(name)
        top = _read_top(request)
        row, _ = await self._look(request)
        metadata = self.model.metadata
        if metadata.task.answers_boxes:
            return _to_json(answers.describe_boxes(row, metadata))
        if not metadata.task.answers_masks:
            return _to_json(answers.describe_classes(row, metadata, top, self.model.about.certainty))
        if request.headers.get("accept", "").strip() == PNG:
            return Response(await self._described(lambda: to_png(row)), media_type=PNG)
        return _to_json(await self._described(lambda: answers.describe_mask(row, metadata)))

    async def explain(self, request: Request, name: str) -> Response:
        self._check(name)
        metadata = self.model.metadata
        if not self.model.can_explain:
            rule = "be a workdir or a .keras file to be explained, because other formats have no layers"
            if metadata.task.answers_places:
                rule = f"have one answer for each {self.model.nouns[0]} to be explained"
            raise RequestError(404, f"The model must {rule}.")
        top, wanted = _read_top(request), request.query_params.get("class")
        same = None if wanted is None else find_same(wanted, metadata.class_names)
        if wanted is not None and same is None:
            raise RequestError(
                400, f"`class` must be a class of the model.{did_you_mean(wanted, metadata.class_names)}"
            )
        row, pixels = await self._look(request)
        best = int(metadata.task.explained_output(row[None])[0])
        number = best if same is None else metadata.class_names.index(same)
        async with self._deadline():
            picture = await self.model.explain(pixels, number)
        answer = answers.describe_classes(row, metadata, top, self.model.about.certainty)
        answer["explained"] = metadata.class_names[number]
        answer["overlay"] = "data:image/png;base64," + base64.b64encode(picture).decode()
        return _to_json(answer)

    async def _look(self, request: Request) -> tuple[np.ndarray, np.ndarray]:
        """Return what the one image in the body of a request gets, as the task keeps it, and its pixels."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith(_NOT_IMAGES) and kind != _FORM:
            one = self.model.nouns[0]
            raise RequestError(415, f"The body must be the {one} file itself, or a form with it. Received: {kind}.")
        body = await self._read(request)
        if kind == _FORM:
            body = await read_form(body, request.headers)
        with self.model.room.take(1):
            async with self._deadline():
                with self.model.announce():
                    pixels = await self.model.decode(body)
                row = (await self.model.predict([pixels]))[0]
                has_places = self.model.metadata.task.answers_places
                return await self.model.fit(row, body) if has_places else row, pixels

    async def _decode(self, image: bytes | np.ndarray, number: int) -> np.ndarray:
        if isinstance(image, np.ndarray):
            return image
        try:
            return await self.model.decode(image)
        except RequestError as error:
            status = 400 if error.status == 415 else error.status  # the type of the body itself is correct
            noun = self.model.metadata.input.noun[0].capitalize()
            raise RequestError(status, f"{noun} {number}: {error.message}") from error

    async def _read(self, request: Request) -> bytes:
        options = self.model.options
        return await read_body(request, options.max_request_bytes, options.timeout_seconds, self._bodies)

    @contextlib.asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        seconds = self.model.options.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise RequestError(
                504, f"The service did not answer within {seconds:g} seconds. Try again.", retry_after=1
            ) from error

    def _check(self, name: str) -> None:
        _check_name(name, self.model.options.name)
        _ = self.model.metadata  # raises while the model is being loaded, before the body is read


def _add_model_routes(app: FastAPI, service: _Service) -> None:
    app.post("/v1/models/{name}:predict")(service.predict)
    app.post("/v1/models/{name}:classify")(service.classify)

    @app.post("/classify")
    async def classify(request: Request) -> Response:
        return await service.classify(request, service.model.options.name)

    app.post("/v1/models/{name}:explain")(service.explain)


def _add_state_routes(app: FastAPI, model: ServedModel) -> None:
    options = model.options
    page = Page(options.name, title_of(options))
    get = functools.partial(app.api_route, methods=["GET", "HEAD"])  # monitors of a service send HEAD

    @get("/")
    async def show_page() -> Response:
        return Response(page.html, media_type="text/html", headers={"content-security-policy": page.policy})

    @get("/healthz")
    async def tell_live() -> Response:
        return _to_json({"status": "live"})

    @get("/readyz")
    async def tell_ready() -> Response:
        if trouble := model.trouble:
            raise RequestError(503, trouble, retry_after=1)
        return _to_json({"status": "ready"})

    @get("/metrics")
    async def tell_metrics() -> Response:
        return Response(model.metrics.to_text(), media_type="text/plain; version=0.0.4")

    @get("/v1/models/{name}")
    async def tell_status(name: str) -> Response:
        _check_name(name, options.name)
        return _to_json(answers.describe_status(model.is_loaded))

    @app.post("/v1/models/{name}")
    async def refuse_verb(name: str) -> Response:
        _check_name(name, options.name)
        raise RequestError(405, "The address must end with a verb, as in /v1/models/NAME:predict.", allow="GET, HEAD")

    @get("/v1/models/{name}/metadata")
    async def tell_metadata(name: str) -> Response:
        _check_name(name, options.name)
        return _to_json(answers.describe_signatures(name, model.metadata, model.describe()))


def _check_name(name: str, own: str) -> None:
    name, colon, verb = name.partition(":")
    if name != own:
        raise RequestError(404, f"The model must be {own!r}, which this service has. Received: {name[:80]!r}.")
    if verb in VERBS:
        raise RequestError(405, "The verbs of a model must be requested with POST.", allow="POST")
    if colon:
        known = ", ".join(VERBS)
        raise RequestError(404, f"The verb must be one of {known}. Received: {verb[:80]!r}.{did_you_mean(verb, VERBS)}")


def _read_top(request: Request) -> int:
    text = request.query_params.get("top", str(TOP))
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text)):
        raise RequestError(400, f"`top` must be a number of classes, at least 1. Received: {text[:80]!r}.")
    return int(text)


def _to_json(content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")


async def _refuse(request: Request, error: Any) -> Response:
    return _to_json({"error": error.message}, error.status, error.headers)


async def _refuse_route(request: Request, error: Any) -> Response:
    return _to_json(
        {"error": f"{error.detail}: {request.method} {request.url.path[:200]}"}, error.status_code, error.headers
    )
