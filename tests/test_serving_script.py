"""scripts/serve.py as a user runs it: start, ask, stop."""

import base64
import concurrent.futures
import csv
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import warm
from warm import PATIENCE

import tfl

DRAIN = 10  # seconds in which a service that is about to stop answers one more request, on a busy machine too
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def run(shared, keras_home, tmp_path_factory):
    """A finished run on ants and bees."""
    folder = tmp_path_factory.mktemp("serving") / "run"
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{shared / 'data' / 'hymenoptera'}"),
        backbone=tfl.BackboneConfig(alpha=0.35),
        finetune=tfl.FinetuneConfig(epochs=0),
    )
    tfl.transfer(config, folder)
    return folder


@pytest.fixture
def start():
    """Start the script, and return the process and its address once it says that it serves."""
    processes = []

    def begin(*flags):
        command = [sys.executable, "scripts/serve.py", "--port=0", *map(str, flags)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        lines = ""
        while not (found := re.search(r"^serving .* at (http://[\d.]+:\d+),", lines, flags=re.MULTILINE)):
            assert select.select([process.stderr], [], [], PATIENCE)[0], lines
            line = process.stderr.readline()
            assert line, lines  # it has ended
            lines += line
        assert lines.count("\n") == 1  # that line, and no chatter
        return process, found[1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def test_a_run_is_served_as_scripts_predict_says_it_and_ends_with_0(run, start, shared, run_script, tmp_path):
    files = [
        path for name in ("ants", "bees") for path in sorted((shared / "data/hymenoptera/val" / name).iterdir())[:6]
    ]
    process, address = start(f"--model={run}", "--name=insects")
    url = f"{address}/v1/models/insects:predict"

    def ask(path):
        instances = [{"b64": base64.b64encode(path.read_bytes()).decode()}]
        answer = httpx.post(url, json={"instances": instances}, timeout=PATIENCE)
        return answer.raise_for_status().json()["predictions"][0]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        predictions = list(pool.map(ask, files))
    assert httpx.get(f"{address}/readyz").status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == "stopped\n"
    result = run_script("scripts/predict.py", f"--model={run}", f"--output={tmp_path / 'out.csv'}", *files)
    assert result.returncode == 0, result.stderr
    with (tmp_path / "out.csv").open() as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    for path, prediction in zip(files, predictions, strict=True):
        row, best = rows[path.name], max(prediction["probabilities"])
        assert prediction["class_names"][prediction["probabilities"].index(best)] == row["class"]
        assert best == pytest.approx(float(row["probability"]), abs=1.5e-6)  # the CSV has six digits


def test_what_was_begun_is_finished_and_readiness_goes_first(run, start, shared):
    process, address = start(
        f"--model={run}", f"--drain_seconds={DRAIN}", f"--timeout_seconds={PATIENCE}", "--batch_timeout_ms=0"
    )
    photo = next((shared / "data/hymenoptera/val/bees").iterdir()).read_bytes()
    host, port = address.removeprefix("http://").split(":")
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(photo)}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), PATIENCE) as slow:
        slow.sendall(head + photo[:1000])
        time.sleep(0.3)  # the request has begun
        process.send_signal(signal.SIGTERM)
        while httpx.get(f"{address}/readyz", timeout=PATIENCE).status_code != 503:
            time.sleep(0.01)  # it still listens, but says that it goes
        assert httpx.post(f"{address}/classify", content=photo, timeout=PATIENCE).status_code == 200
        with pytest.raises(httpx.TransportError):
            while httpx.get(f"{address}/healthz", timeout=PATIENCE).status_code == 200:
                time.sleep(0.05)  # until it no longer listens
        slow.sendall(photo[1000:])
        answer = b"".join(iter(lambda: slow.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert process.wait(PATIENCE) == 0


FOR_EVER = """
import sys, threading
from tfl import cli
from tfl.inputs.image.untrusted import ImageDecoder
decode, calls, begun = ImageDecoder.decode, [], sys.argv.pop()
def decode_the_warm_up_alone(decoder, image):
    if len(calls) == 2:
        open(begun, "w").close()
        threading.Event().wait()
    calls.append(image)
    return decode(decoder, image)
ImageDecoder.decode = decode_the_warm_up_alone
sys.argv[0] = "scripts/serve.py"
exec(open("scripts/serve.py").read(), {"__name__": "__main__"})
"""


def test_the_end_does_not_wait_for_an_image_that_takes_for_ever(run, tmp_path, shared):
    log, begun = tmp_path / "log", tmp_path / "begun"
    flags = ["--port=0", f"--model={run}", "--timeout_seconds=0.1"]
    process = warm.Process(["-c", FOR_EVER, *flags, begun], log, cwd=ROOT)
    deadline = time.monotonic() + PATIENCE
    while not (
        found := re.search(r"^serving .* at (http://[\d.]+:\d+),", log.read_text() if log.exists() else "", re.M)
    ):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    address = found[1]
    photo = next((shared / "data/hymenoptera/val/bees").iterdir()).read_bytes()
    while not begun.exists():  # the decoder has it, and will not give it back
        assert httpx.post(f"{address}/classify", content=photo, timeout=PATIENCE).status_code == 504
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert log.read_text().endswith("\nstopped\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=nowhere"], "Received: 'nowhere', which does not exist."),
        ([], "`model` must be a finished workdir or an exported model. Received: none."),
        (["--model=nowhere", "--port=99999"], "`port` must be between 0 and 65535."),
        (["--model=nowhere", "--prot=1"], "Did you mean 'port'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run_script, flags, message):
    result = run_script("scripts/serve.py", "--port=0", *flags)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_turns_out_to_be_no_model_is_one_line_too(run_script, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"no zip archive")
    result = run_script("scripts/serve.py", "--port=0", f"--model={path}")
    assert result.returncode == 2
    assert "not a zip archive" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_mistake_is_told_before_anything_heavy_is_imported():
    code = (
        "import sys; from tfl.serving import ServeOptions, open_server\n"
        "try: open_server(ServeOptions('nowhere'))\n"
        "except ValueError: print([m for m in sys.modules if m in ('tensorflow', 'keras', 'fastapi')])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow  # three services, each with TensorFlow
def test_the_benchmark_runs_and_a_thousand_malformed_requests_do_no_harm(run_cold):
    flags = ["--formats=keras", "--rounds=1", "--seconds=0.3", "--malformed=1000"]
    result = run_cold("benchmarks/serve.py", *flags)
    assert result.returncode == 0, result.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines() if "|" in line]
    rates = {(row[1], row[2]): float(row[3]) for row in rows if row[0] == "keras"}
    assert len(rates) == 8 and min(rates.values()) > 0
    (malformed,) = (row for row in rows if row[0] == "1000")
    statuses = dict(pair.split(": ") for pair in malformed[1].split(", "))
    assert {"400", "404", "405", "413", "415"} <= statuses.keys()
    assert sum(map(int, statuses.values())) == 1000
    assert all(400 <= int(status) < 500 for status in statuses), statuses
    before, after = (float(size.removesuffix(" MiB")) for size in malformed[4:6])
    assert after - before < 50
    assert malformed[2:4] == ["0", "no"]
    assert malformed[6] == "32 of 32"
