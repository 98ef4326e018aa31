"""`tfcap serve-data`: decode pictures for a training whose own CPU is too slow for its GPU."""

import argparse

HELP = "decode pictures for a training elsewhere"
DESCRIPTION = """\
Run a tf.data service, for a training whose GPU waits for pictures: a dispatcher and a worker, or
another worker of a dispatcher that runs already. All processes must reach the records by the same
paths, on machines of one network that can be trusted: TensorFlow opens the ports on all
interfaces, without passwords.

With one worker batches come as without a service, and an interrupted run goes on exactly; with
several every record still comes once an epoch, but the order depends on their speed.

Examples:
  tfcap serve-data --port 5050                            on host a; then, on host b and training:
  tfcap serve-data --dispatcher a:5050 --host b
  tfcap train --data-service a:5050 --dataset ..."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dispatcher", metavar="HOST:PORT", help="join this one, instead of starting one")
    add("--port", type=int, default=0, help="of the dispatcher that is started (default: any)")
    add(
        "--host",
        default="localhost",
        help="name under which training reaches this machine (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    import threading

    from records.errors import UserError

    if not 0 <= arguments.port < 2**16:
        raise UserError(f"--port {arguments.port}: choose one below 65536, or 0 for any")
    if arguments.dispatcher and arguments.port:
        raise UserError("--port is of a dispatcher that is started: leave out --dispatcher or it")

    from tfcap.data.service import check_service, start_dispatcher, start_worker

    dispatcher = None
    if arguments.dispatcher:
        check_service(arguments.dispatcher)
        address = arguments.dispatcher
    else:
        dispatcher = start_dispatcher(arguments.port)
        address = f"{arguments.host}:{dispatcher.target.rpartition(':')[2]}"
    worker = start_worker(address, arguments.host)
    print(f"tf.data service at {address}; Ctrl-C stops it", flush=True)
    # Not its `join`, in which no Ctrl-C is heard.
    threading.Event().wait()
    del worker, dispatcher
    return 0
