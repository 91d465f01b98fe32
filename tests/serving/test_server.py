"""The process around the service: options, port, missing packages."""

import socket
import sys
import zipfile
from pathlib import Path

import pytest

from tfl.errors import InputError
from tfl.serving import ServeOptions, open_server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(tmp_path, monkeypatch):
    """What looks like a model at first sight."""
    monkeypatch.chdir(ROOT)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tfl.json", "{}")
    return str(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70_000}, "`port` must be between 0 and 65535. Received: port=70000."),
        ({"max_batch_size": 0}, "`max_batch_size` must be between 1"),
        ({"timeout_seconds": float("nan")}, "`timeout_seconds` must be between"),
        ({"queue_size": 0}, "`queue_size` must be between"),
        ({"name": "my model"}, "`name` must consist of letters"),
        ({"name": ""}, "`name` must consist of letters"),
        ({"model": "no_such_model"}, "'no_such_model', which does not exist."),
        ({"model": ""}, "Received: none."),
        ({"model": "tests"}, "'tests', which has no model.keras or saved_model.pb."),
        ({"model": "setup.py"}, "'setup.py', which ends with none of .keras, .tflite, .onnx."),
        ({"allow_origin": ["https://a.b/"]}, "`allow_origin` must have addresses as browsers send them, or '*'."),
        ({"allow_origin": ["https://a.b/"]}, "Did you mean 'https://a.b'?"),
        ({"allow_origin": ["*", "https://Shop.example:443"]}, "Did you mean 'https://shop.example'?"),
        ({"allow_origin": ["shop.example:80"]}, "Did you mean 'http://shop.example'?"),
        ({"allow_origin": ["null"]}, "Did you mean 'http://null'?"),
        ({"allow_origin": ["ftp://a.b"]}, "Received: 'ftp://a.b'."),
        ({"allow_origin": ["http://u:p@a.b"]}, "Received: 'http://u:p@a.b'."),
        ({"allow_origin": [""]}, "Received: ''."),
        ({"host": "no.such.host.invalid"}, "`host` must be an address"),
        ({"host": "192.0.2.1"}, "`host` and `port` must be an address"),
    ],
)
def test_a_mistake_is_told_at_once(model, options, message):
    with pytest.raises(InputError, match=r"^[^\n]+$") as caught:
        open_server(ServeOptions(**{"model": model, "port": 0, **options}))
    assert message in str(caught.value)


def test_a_port_in_use_is_told_by_name(model):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            InputError, match=rf"must be an address that no other program uses. Received: 127.0.0.1:{port}: Address alr"
        ):
            open_server(ServeOptions(model, port=port))


def test_a_missing_package_names_the_extra(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r"pip install 'tfl-transfer\[serve\]'. Received: no uvicorn."):
        open_server(ServeOptions(model, port=0))


def test_a_free_port_is_taken_at_once(model):
    server = open_server(ServeOptions(model, port=0))
    address = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    with socket.create_connection(address, 5):  # waits in line until the service answers
        accepted, _ = server._socket.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP  # or asyncio leaves TCP_NODELAY out: 40 ms an answer
    server._socket.close()
