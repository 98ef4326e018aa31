"""The worker process of a local job with several workers: Beam's own, but silent and mortal.

Beam's worker writes its comings and goings to standard error, dies of the Ctrl-C that is meant for
the launcher with a traceback, and outlives a launcher that is killed, still writing.
"""

import logging
import os
import signal
import threading
import time

_POLL_SECONDS = 0.5
# What a worker has written is sent in whole elements, as soon as there is so much of it. Beam's own
# 10 MB would be held several times over.
_SEND_BYTES = 256 * 1024


def leave_with_parent(parent: int) -> None:
    """End this process when it has another parent than the given one."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # With a handler in place, Beam sets up none for standard error; its log goes to the launcher.
    logging.getLogger().addHandler(logging.NullHandler())
    threading.Thread(target=leave_with_parent, args=[os.getppid()], daemon=True).start()

    from apache_beam.runners.worker import data_plane, sdk_worker_main

    data_plane.ClosableOutputStream.create = staticmethod(
        lambda close, flush, _: data_plane.SizeBasedBufferingClosableOutputStream(
            close, flush, size_flush_threshold=_SEND_BYTES
        )
    )
    sdk_worker_main.main([])
    # All is reported by now, and the launcher waits for one worker after the other to be torn down.
    os._exit(0)
