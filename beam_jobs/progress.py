"""Progress of a local run: workers, threads or processes, append bytes to a file; a bar follows."""

import threading
from pathlib import Path

from tqdm import tqdm

_POLL_SECONDS = 0.2


def count_pictures(progress_file: str | None, pictures: int) -> None:
    """Count pictures as done; without a file, do nothing."""
    if progress_file is not None:
        # Appending is atomic: the bytes of several processes never overwrite each other.
        with Path(progress_file).open("ab", buffering=0) as file:
            file.write(b"." * pictures)


class ProgressBar:
    """A bar on standard error that follows the size of a file while the context is open.

    Attributes:
        path: the file, made empty on entry.
        total: size at which the job is done.
    """

    def __init__(self, path: Path, total: int):
        self.path, self.total = path, total
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self):
        self.path.touch()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _follow(self):
        with tqdm(total=self.total, desc="pictures", unit=" pictures") as bar:
            while not self._done.wait(_POLL_SECONDS):
                bar.update(self.path.stat().st_size - bar.n)
            bar.update(self.path.stat().st_size - bar.n)
