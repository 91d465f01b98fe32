"""Measure requests per second and latency of scripts/serve.py against the bare model; and send malformed requests.

    python benchmarks/serve.py
    python benchmarks/serve.py --formats=litert --photo_pixels=500 --rounds=1
    python benchmarks/serve.py --rounds=0 --malformed=1000

The model is MobileNetV2 (alpha 0.35, random weights), and each request has one JPEG. All ways take turns in each round.

`bare`     `load_artefact(...).predict_bytes` in a loop in one process: one image per call, and 32 images per call,
           which no service can beat
`single`   the service with `--max_batch_size=1`
`batched`  the service with micro-batching

All clients run in one other process on the same cores. Each client sends its next request when it has a response.
`x bare` is the rate divided by the rate of the bare model with one image per call. `batched / single` is the gain of
micro-batching. Both are medians of the ratios of the rounds. Rates are medians; percentiles are over the requests of
all rounds.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import asyncio
import collections
import contextlib
import http.client
import io
import json
import multiprocessing
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from absl import app, flags

_FORMATS = flags.DEFINE_list("formats", ["keras", "litert"], "Artefacts that are served: keras, litert.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 96, "Pixels per side of the network.", lower_bound=32)
_PHOTO_PIXELS = flags.DEFINE_integer("photo_pixels", 96, "Pixels of the longer side of the JPEGs.", lower_bound=8)
_CLIENTS = flags.DEFINE_multi_integer("clients", [1, 32], "Concurrent clients.")
_SECONDS = flags.DEFINE_float("seconds", 4.0, "Of each measurement.", lower_bound=0.1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each way.", lower_bound=0)
_MALFORMED = flags.DEFINE_integer("malformed", 1000, "Malformed requests.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Of the images and of the malformed requests.")
ROOT = Path(__file__).resolve().parent.parent
NUM_IMAGES, WARM_SECONDS = 32, 0.5
PATH = "/v1/models/model:"


class Rate(NamedTuple):
    """The measurements of one round: images per second, and the seconds of each call."""

    images: float
    seconds: list[float]


class Service(NamedTuple):
    """A running service."""

    port: int
    process: subprocess.Popen[bytes]


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    photos = make_photos()
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as clients:
        paths = write_artefacts(Path(folder))
        if _ROUNDS.value:
            print(f"| format | way | clients | images / s | p50 | p95 | x bare |\n{'|---' * 7}|", flush=True)
        for format in _FORMATS.value if _ROUNDS.value else ():
            with serving(paths[format], "--max_batch_size=1") as single, serving(paths[format]) as batched:
                print_rates(format, measure(paths[format], photos, {"single": single, "batched": batched}, clients))
        if _MALFORMED.value:
            with serving(paths[_FORMATS.value[0]]) as service:
                print_malformed(service, photos)


def make_photos() -> list[bytes]:
    """Return JPEGs with about as much detail as photos: smoothed noise."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(_SEED.value)
    width, height = _PHOTO_PIXELS.value, _PHOTO_PIXELS.value * 3 // 4
    coarse = rng.uniform(0, 255, (NUM_IMAGES, height // 8 + 1, width // 8 + 1, 3))
    smooth = tf.image.resize(coarse, (height, width), "bicubic") + rng.normal(0, 6, (NUM_IMAGES, height, width, 3))
    return [tf.io.encode_jpeg(image, quality=90).numpy() for image in tf.saturate_cast(smooth, tf.uint8)]


def write_artefacts(folder: Path) -> dict[str, Path]:
    import keras

    import tfl
    from tfl.export import write_litert

    keras.utils.set_random_seed(0)
    size = _IMAGE_SIZE.value
    backbone = tfl.build_backbone("MobileNetV2", alpha=0.35, image_size=size, weights="none")
    metadata = tfl.Metadata("MobileNetV2", 0.35, size, "multiclass", ("ants", "bees"))
    model = tfl.build_classifier(backbone, tfl.HeadSpec(2), metadata)
    paths = {"keras": folder / "model.keras", "litert": folder / "model.tflite"}
    tfl.save_model(model, paths["keras"])
    if "litert" in _FORMATS.value:
        write_litert(model, metadata, paths["litert"])
    return paths


@contextlib.contextmanager
def serving(model: Path, *options: str) -> Iterator[Service]:
    """Run scripts/serve.py, and check that it stops without an error."""
    command = [sys.executable, str(ROOT / "scripts/serve.py"), f"--model={model}", "--port=0", *options]
    with tempfile.NamedTemporaryFile("w+") as log:  # nobody would read a pipe, and it would fill up
        process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        try:
            yield Service(wait_for_port(Path(log.name), process), process)
        finally:
            process.terminate()
            if process.wait(60):
                raise RuntimeError(f"The service ended with {process.returncode}: {Path(log.name).read_text()[-2000:]}")


def wait_for_port(log: Path, process: subprocess.Popen[bytes]) -> int:
    while not (found := re.search(r"^serving .* at http://[\d.]+:(\d+),", log.read_text(), flags=re.MULTILINE)):
        if process.poll() is not None:
            raise RuntimeError(f"The service did not start: {log.read_text()}")
        time.sleep(0.1)
    return int(found[1])


def measure(path: Path, photos: list[bytes], services: dict[str, Service], clients: Any) -> dict[Any, list[Rate]]:
    """Return the rate of every round, by (way, number of clients or images per call)."""
    import tfl

    artefact = tfl.load_artefact(path)
    ways: dict[Any, Callable[[], Rate]] = {
        ("bare", count): lambda count=count: ask_bare(artefact.predict_bytes, photos, count)
        for count in (1, NUM_IMAGES)
    }
    for count in _CLIENTS.value:
        for name, service in services.items():
            job = (service.port, photos, count, _SECONDS.value)
            ways[name, count] = lambda job=job: clients.apply(ask_service, job)
    rates: dict[Any, list[Rate]] = {way: [] for way in ways}
    for _ in range(_ROUNDS.value):
        for way, run in ways.items():
            rates[way].append(run())
    return rates


def ask_bare(predict: Callable[[list[bytes]], Any], photos: list[bytes], count: int) -> Rate:
    predict(photos[:count])  # the first call traces the graph
    begin, seconds, number = time.perf_counter(), [], 0
    while not seconds or time.perf_counter() < begin + WARM_SECONDS + _SECONDS.value:
        now = time.perf_counter()
        predict([photos[(number + n) % NUM_IMAGES] for n in range(count)])
        number += count
        if now > begin + WARM_SECONDS:
            seconds.append(time.perf_counter() - now)
    return Rate(count * len(seconds) / sum(seconds), seconds)


def ask_service(port: int, photos: list[bytes], clients: int, duration: float) -> Rate:
    """Run some clients for some seconds; this runs in a separate process."""
    head = f"POST {PATH}classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
    requests = [f"{head}{len(photo)}\r\n\r\n".encode() + photo for photo in photos]
    seconds: list[float] = []

    async def run_client(first: int, begin: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (now := time.perf_counter()) < begin + WARM_SECONDS + duration:
            writer.write(requests[first % NUM_IMAGES])
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.findall(rb"content-length: (\d+)", answer)[0]))
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            if now > begin + WARM_SECONDS:
                seconds.append(time.perf_counter() - now)
            first += 1
        writer.close()

    async def run_clients() -> None:
        await asyncio.gather(*(run_client(number, time.perf_counter()) for number in range(clients)))

    asyncio.run(run_clients())
    return Rate(len(seconds) / duration, seconds)


def print_rates(format: str, rates: dict[Any, list[Rate]]) -> None:
    bare = rates["bare", 1]
    for (way, count), rounds in rates.items():
        name = f"{way}, {count} a call" if way == "bare" else way
        times = sorted(second for rate in rounds for second in rate.seconds)
        percentiles = [f"{1000 * times[int(part * len(times))]:.1f} ms" for part in (0.5, 0.95)]
        rate = statistics.median(rate.images for rate in rounds)
        cells = [format, name, "" if way == "bare" else str(count), f"{rate:.0f}", *percentiles, ratio(rounds, bare)]
        print(f"| {' | '.join(cells)} |", flush=True)
    for count in _CLIENTS.value:
        gain = ratio(rates["batched", count], rates["single", count])
        print(f"| {format} | batched / single | {count} | {gain} | | | |", flush=True)


def ratio(ours: list[Rate], theirs: list[Rate]) -> str:
    return f"{statistics.median(a.images / b.images for a, b in zip(ours, theirs, strict=True)):.2f}"


def print_malformed(service: Service, photos: list[bytes]) -> None:
    """Send malformed requests, and print the responses and the memory of the service."""
    rng = random.Random(_SEED.value)
    for number in range(_MALFORMED.value // 2):  # warm-up, so that memory that is allocated once does not count
        send(service.port, *make_malformed(rng, photos, number))
    before = memory(service.port)
    statuses = collections.Counter(
        send(service.port, *make_malformed(rng, photos, number)) for number in range(_MALFORMED.value)
    )
    after = memory(service.port)
    good = [send(service.port, "POST", PATH + "classify", {}, photo) for photo in photos]
    print(f"\n| malformed requests | answers | 5xx | ended | memory before | after | then good |\n{'|---' * 7}|")
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    failed = sum(count for status, count in statuses.items() if status >= 500)
    ended = "no" if service.process.poll() is None else f"yes, {service.process.returncode}"
    sizes = [f"{size / 2**20:.0f} MiB" for size in (before, after)]
    cells = [str(_MALFORMED.value), answers, str(failed), ended, *sizes, f"{good.count(200)} of {len(good)}"]
    print(f"| {' | '.join(cells)} |", flush=True)


def make_malformed(rng: random.Random, photos: list[bytes], number: int) -> tuple[str, str, dict[str, str], bytes]:
    """Return method, path, headers and body of a request that no service should answer with a prediction."""
    photo = rng.choice(photos)
    noise = rng.randbytes(rng.randrange(1, 3000))
    good = b64(photo)
    damaged = bytearray(photo)
    for _ in range(rng.randrange(1, 40)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    deep = rng.randrange(100, 100_000)
    texts: list[Any] = [
        {"instances": [{"b64": good[: rng.randrange(len(good))] + "*"}]},
        {"instances": [{"b64": b64(photo[: rng.randrange(len(photo) // 2)])}]},
        {"instances": [{"b64": b64(noise)}]},
        {"instances": [{rng.choice(["b46", "image", ""]): good}]},
        {"instances": [{"b64": good}] * 400},
        {"instances": rng.choice([None, 7, "x" * 9999, {}, [], [None], [[]], [True], [{"b64": None}], [1e308]])},
        {"signature_name": "serving_pixels", "instances": make_pixels(rng)},
        {"signature_name": rng.choice([None, 3, "x", [], {}]), "instances": [{"b64": good}]},
        {rng.choice(["inputs", "instance", "x"]): {"images": good}},
        rng.choice([[], "text", 3, None, {}, {"inputs": [], "instances": []}]),
    ]
    bodies = [
        *(json.dumps(text).encode() for text in texts),
        json.dumps(texts[0]).encode()[: -rng.randrange(1, 20)],
        b"[" * deep,
        b'{"instances":' * deep,
        b'{"instances": [' + b"9" * deep + b"]}",
        noise,
    ]
    images = [photo[: rng.randrange(len(photo) - 2)], noise, b"", photo[:3] + noise, bomb(rng), bomb(rng) + noise]
    kind = number % 5
    if kind == 0:
        return "POST", PATH + rng.choice(["classify", "explain"]), {}, rng.choice(images)
    if kind in (1, 2):
        return "POST", PATH + "predict", {"Content-Type": "application/json"}, rng.choice(bodies)
    if kind == 3:
        wrong = {
            "Content-Type": ["multipart/form-data; boundary=x", "application/json"],
            "Content-Encoding": ["gzip"],
            "Content-Length": ["-1", "x", str(10**12), "9" * 5000],
            "Transfer-Encoding": ["chunked", "gzip"],
        }
        name = rng.choice(list(wrong))
        return "POST", PATH + "classify", {name: rng.choice(wrong[name])}, b"no length of a chunk\r\n" + photo
    method = rng.choice(["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
    path = rng.choice(
        [PATH + "predict", PATH + "classify?top=-1", "/v1/models/other:predict", "/../etc/passwd", "/%00"]
    )
    return method, path, {}, rng.choice([b"", bytes(damaged), noise])


def make_pixels(rng: random.Random) -> Any:
    size = _IMAGE_SIZE.value
    image = [[[rng.choice([-1, 256, 0.5, None])] * 3] * size] * size
    return rng.choice([[image], [image[1:]], image, [[image]], [[[["x"] * 3] * size] * size]])


def bomb(rng: random.Random) -> bytes:
    """Return a small PNG whose header claims gigabytes of pixels."""
    import zlib

    header = b"IHDR" + rng.randrange(20_000, 2**31).to_bytes(4, "big") * 2 + bytes([8, 6, 0, 0, 0])
    end = b"IEND"
    chunks = [len(part[4:]).to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big") for part in (header, end)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def b64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()


def send(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
    """Send a request and return the status of its response; 0 if the connection was closed without a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        names = {name.lower() for name in headers}
        for name, value in headers.items():
            connection.putheader(name, value)
        if not names & {"content-length", "transfer-encoding"}:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (http.client.HTTPException, ConnectionError):
        return 0
    finally:
        connection.close()


def memory(port: int) -> float:
    """Return the resident memory of a service in bytes, from its own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = io.TextIOWrapper(answer).read().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("process_resident_memory_bytes "))


if __name__ == "__main__":
    app.run(main)
