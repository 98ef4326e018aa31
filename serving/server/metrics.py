"""What Prometheus is told, under TF Serving's names where it has one.

The names and units are those of `tensorflow_serving/servables/tensorflow/util.cc` and
`batching/batching_session.cc`, as its Prometheus exporter writes them: a dashboard made for TF
Serving reads this server too.
"""

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest

# Microseconds, as TF Serving's: 10 to some 20 minutes.
_MICROSECONDS = tuple(10 * 1.8**power for power in range(32))
_ROWS = tuple(2**power for power in range(11))


class Metrics:
    """The measurements of one server.

    Attributes:
        batch_rows: rows of the calls of the model.
        queue_rows: rows that wait now.
    """

    def __init__(self, model_name: str):
        registry = self._registry = CollectorRegistry()
        self._model = model_name
        prefix = ":tensorflow:serving:"
        # A gauge that only grows: the library would put "_total" behind a counter's name.
        self._requests = Gauge(
            f"{prefix}request_count", "requests", ["model_name", "status"], registry=registry
        )
        self._latency = Histogram(
            f"{prefix}request_latency",
            "microseconds from the whole request to its answer",
            ["model_name", "API", "entrypoint"],
            buckets=_MICROSECONDS,
            registry=registry,
        )
        batches = Histogram(
            f"{prefix}batching_session:processed_batch_size",
            "rows in one call of the model",
            ["model_name"],
            buckets=_ROWS,
            registry=registry,
        )
        self.batch_rows = batches.labels(model_name)
        self.queue_rows = Gauge("tfcap_queue_rows", "rows that wait", registry=registry)
        ProcessCollector(registry=registry)

    def count_request(self, entrypoint: str, status: str, seconds: float) -> None:
        """Count a prediction.

        Args:
            entrypoint: REST or GRPC.
            status: gRPC's name of the status, OK for one that was answered.
            seconds: that it took.
        """
        self._requests.labels(self._model, status).inc()
        if status == "OK":
            self._latency.labels(self._model, "Predict", entrypoint).observe(1e6 * seconds)

    def page(self) -> bytes:
        """Return all of it in Prometheus's text format."""
        return generate_latest(self._registry)
