"""The tf.data service: other processes, on other machines too, decode for a starved GPU.

The pipeline travels to the workers as a graph, so it has to be of operations of TensorFlow alone
(`caption_batches(..., in_graph=True)`), and the workers have to reach the shards by the same paths.

What becomes of the order: of one worker, batches come in the order of the epoch, and are those that
training would have made itself. Of several, each takes the next position whenever it has time:
every record still comes once an epoch, augmented as it would have been, but which records meet in a
batch, and the order of the batches, depend on the speed of the workers, and the last batch of each
may not be full. So only with one worker does an interrupted run go on exactly where it stopped. A
worker that dies takes along what it was decoding; the rest of the epoch comes from the others.
"""

import socket

import tensorflow as tf

from records.errors import UserError

_SERVICE = tf.data.experimental.service
PROTOCOL = "grpc"
ANSWER_SECONDS = 10.0


def check_service(address: str) -> None:
    """Find that something answers at an address: TensorFlow would try for an hour.

    Args:
        address: host:port of the dispatcher.

    Raises:
        UserError: nothing does.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"no tf.data service at {address!r} ({error}): give HOST:PORT of `tfcap serve-data`"
        ) from None


def distributed(dataset: tf.data.Dataset, address: str, job: str) -> tf.data.Dataset:
    """Let a tf.data service run a pipeline.

    Args:
        dataset: begins with a range or other source that can be split, as that of `read_records`
            in the graph with an order.
        address: host:port of the dispatcher.
        job: its name. Whoever names the same job shares its elements, and one that has ended has
            none left: a name belongs to one pass over the data, of one run.

    Returns:
        The same elements, each once.
    """
    return dataset.apply(
        _SERVICE.distribute(
            processing_mode=_SERVICE.ShardingPolicy.DYNAMIC,
            service=f"{PROTOCOL}://{address}",
            job_name=job,
            # Pixels hardly shrink, and it would take the CPU that is short.
            compression=None,
        )
    )


def start_dispatcher(port: int = 0) -> _SERVICE.DispatchServer:
    """Start the one process that hands out the work; port 0 takes any that is free.

    The work of a dispatcher that dies is lost, and the epoch under way with it.

    Raises:
        UserError: another program has the port.
    """
    try:
        # TensorFlow would share the port with whoever has it, and get some of the calls.
        socket.create_server(("", port)).close()
    except OSError as error:
        raise UserError(f"port {port} cannot be had ({error.strerror}): choose another") from None
    return _SERVICE.DispatchServer(_SERVICE.DispatcherConfig(port=port, protocol=PROTOCOL))


def start_worker(dispatcher: str, host: str = "localhost", port: int = 0) -> _SERVICE.WorkerServer:
    """Start a worker.

    Args:
        dispatcher: its host:port.
        host: under which training reaches this worker.
        port: 0 takes any that is free.
    """
    config = _SERVICE.WorkerConfig(
        dispatcher_address=dispatcher,
        worker_address=f"{host}:%port%",
        port=port,
        protocol=PROTOCOL,
    )
    return _SERVICE.WorkerServer(config)
