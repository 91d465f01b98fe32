"""Let a model answer over HTTP, with the REST API of TensorFlow Serving and a web page for people.

The model is a finished run, or an export of it: .keras, .tflite, .onnx or a SavedModel folder.

tfl serve runs/photos
tfl serve runs/photos/export/model.tflite --port=8501 --name=photos
"""

from absl import flags

from tfl import cli
from tfl.commands import places

_MODEL = flags.DEFINE_string(
    "model", "", "A finished run, or an exported model of any format; it may also stand without --model=."
)
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0: for all who can reach this machine.")
_PORT = flags.DEFINE_integer("port", 8501, "Port; 0: a free one.")
_NAME = flags.DEFINE_string("name", "model", "Name of the model in addresses, as in /v1/models/NAME, and on the page.")
_BATCH = flags.DEFINE_integer(
    "max_batch_size", 32, "Most examples (such as images) that run through the network together; 1: no batching."
)
_WAIT = flags.DEFINE_float("batch_timeout_ms", 2.0, "Milliseconds that a batch waits for more requests.")
_BYTES = flags.DEFINE_integer("max_request_bytes", 16 << 20, "Largest body of a request, in bytes.")
_PIXELS = flags.DEFINE_integer(
    "max_image_pixels", 50_000_000, "Most pixels that an image may have; for other examples the most bytes."
)
_QUEUE = flags.DEFINE_integer("queue_size", 256, "Examples that may be in the service at once.")
_TIMEOUT = flags.DEFINE_float("timeout_seconds", 30.0, "Seconds after which the service gives up a request.")
_DRAIN = flags.DEFINE_float("drain_seconds", 0.0, "Seconds in which /readyz answers 503 before the service stops.")
_ORIGIN = flags.DEFINE_list("allow_origin", [], "Other web addresses whose pages may read the answers; *: all.")


def main(argv: list[str]) -> None:
    """Serve until a signal ends it."""
    from tfl.serving import ServeOptions, open_server

    options = ServeOptions(
        model=places.the_one(argv[1:], _MODEL.value or None, "model") if argv[1:] else _MODEL.value,
        host=_HOST.value,
        port=_PORT.value,
        name=_NAME.value,
        max_batch_size=_BATCH.value,
        batch_timeout_ms=_WAIT.value,
        max_request_bytes=_BYTES.value,
        max_image_pixels=_PIXELS.value,
        queue_size=_QUEUE.value,
        timeout_seconds=_TIMEOUT.value,
        drain_seconds=_DRAIN.value,
        allow_origin=_ORIGIN.value,
    )
    server = open_server(options)  # reports user errors before TensorFlow is imported
    cli.import_tensorflow_quietly()
    server.run()
    if server.is_working:
        cli.leave()


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, takes_files=True, tensorflow=False)
