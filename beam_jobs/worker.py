"""The worker process of a local job with several workers: Beam's own, but silent.

Beam's worker writes its comings and goings to standard error, and dies of the Ctrl-C that is meant
for the launcher with a traceback.
"""

import logging
import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # With a handler in place, Beam sets up none for standard error; its log goes to the launcher.
    logging.getLogger().addHandler(logging.NullHandler())

    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
