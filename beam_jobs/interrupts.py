"""Ctrl-C as one exception, whatever Beam makes of it on its way."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def keyboard_interrupts() -> Iterator[None]:
    """Leave the context with KeyboardInterrupt after a Ctrl-C.

    The local runner calls user code in the main thread, catches what it raises and raises a
    RuntimeError of its own instead.
    """
    interrupted = False

    def interrupt(number, frame):
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, previous)
