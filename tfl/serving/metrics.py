"""The Prometheus metrics of the service; every service has its own registry."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one service.

    Args:
        count_images: returns the number of images in the service.
        is_ready: returns whether the service is ready for requests.
    """

    def __init__(self, count_images: Callable[[], int], is_ready: Callable[[], bool]) -> None:
        registry = self._registry = CollectorRegistry()
        labels = ("route", "method", "code")
        self.requests = Counter("tfl_requests", "Requests that were answered.", labels, registry=registry)
        self.seconds = Histogram(
            "tfl_request_seconds",
            "Time from the headers of a request to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_images = Histogram(
            "tfl_batch_images", "Examples that ran through the network together.", buckets=_IMAGES, registry=registry
        )
        self.batch_seconds = Histogram(
            "tfl_batch_seconds", "Time of a batch in the network.", buckets=_SECONDS, registry=registry
        )
        self.decode_seconds = Histogram(
            "tfl_decode_seconds", "Time to decode an example.", buckets=_SECONDS, registry=registry
        )
        self.batch_size = Gauge(
            "tfl_batch_size", "Most examples that may run together, as measured at the start.", registry=registry
        )
        queue = Gauge("tfl_queue_images", "Examples in the service, waiting or being processed.", registry=registry)
        queue.set_function(count_images)
        Gauge("tfl_ready", "1 while the service is ready for requests.", registry=registry).set_function(is_ready)
        ProcessCollector(registry=registry)  # memory, processor time, open files

    def to_text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
