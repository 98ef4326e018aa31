"""Which version answers: the highest in the base directory, once it has loaded and warmed up.

As in TF Serving with its default policy (`availability_preserving_policy.cc`, the latest version
of `file_system_storage_path_source.cc`): a new version is loaded beside the old one, takes over
at once, and the old one is unloaded after its last request. A version that cannot be loaded
changes nothing but the status; it is tried again when its files have changed.
"""

import asyncio
import contextlib
import dataclasses
import enum
import logging
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grpc import StatusCode

from serving.server.errors import RequestError, StartError, invalid, one_line
from serving.server.model import Model
from serving.server.warmup import warm_up

logger = logging.getLogger(__name__)


class State(enum.IntEnum):
    """The states of a version; names and numbers are those of get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass
class Version:
    """A version that was seen in the base directory.

    Attributes:
        number: of its directory.
        state: what has become of it.
        error: why it could not be loaded; empty where nothing is wrong.
        model: where it is loaded.
        users: requests that it is answering.
    """

    number: int
    state: State = State.START
    error: str = ""
    model: Model | None = None
    users: int = 0


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Which model a request wants: the latest version, one by its number, or one by its label."""

    name: str
    version: int | None = None
    label: str = ""

    def __str__(self):
        if self.version is None:
            return f"Latest({self.name})"
        return f"Specific({self.name}, {self.version})"


class VersionManager:
    """Keeps the highest version loaded; all but the loading happens on one asyncio loop."""

    def __init__(
        self, base: Path, name: str, load: Callable[[Path], Model], labels: Collection[str] = ()
    ):
        """Make a manager that has loaded nothing.

        Args:
            base: directory of numbered SavedModels.
            name: of the model.
            load: returns a model that is ready to answer; runs in a thread.
            labels: names of whatever version answers.
        """
        self._base = base
        self._labels = labels
        self._name = name
        self._load = load
        self._versions: dict[int, Version] = {}
        self._current: Version | None = None
        # What the files of versions that failed looked like when they did.
        self._failed: dict[int, tuple] = {}
        self._thread = ThreadPoolExecutor(1, "versions")
        self._unloading: set[asyncio.Task] = set()

    @property
    def current(self) -> int | None:
        """The number of the version that answers; None where none does."""
        return self._current.number if self._current else None

    async def start(self) -> None:
        """Load the highest version.

        Raises:
            StartError: there is none, or it cannot be loaded.
        """
        check_base(self._base)
        await self.poll()
        if not self._current:
            raise StartError(next(iter(self._versions.values())).error)

    async def watch(self, seconds: float) -> None:
        """Look for a new version again and again, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.poll()
            except Exception:  # a disk that is away for a moment must not end the watching
                logger.exception("looking for versions in %s failed", self._base)

    async def poll(self) -> None:
        """Look once: if the highest version is not the one that answers, load it and switch."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._thread, find_versions, self._base)
        if not found or (self._current and found[-1] == self._current.number):
            return
        number = found[-1]
        path = self._base / str(number)
        stamp = await loop.run_in_executor(self._thread, _stamp, path)
        if self._failed.get(number) == stamp:
            return
        version = self._versions[number] = Version(number, State.LOADING)
        try:
            version.model = await loop.run_in_executor(self._thread, self._load, path)
        except Exception as error:
            version.state = State.END
            version.error = one_line(error)
            self._failed[number] = stamp
            kept = f"; version {self.current} goes on answering" if self._current else ""
            logger.error("version %d cannot be served: %s%s", number, version.error, kept)
            return
        self._failed.pop(number, None)
        previous, self._current = self._current, version
        version.state = State.AVAILABLE
        logger.info("version %d of %s answers now", number, self._name)
        if previous:
            self._retire(previous)

    @contextlib.asynccontextmanager
    async def use(self, spec: ModelSpec) -> AsyncIterator[Version]:
        """Hold the version that answers a request, so that it stays loaded meanwhile.

        Raises:
            RequestError: there is no such model or version.
        """
        version = self.find(spec)
        version.users += 1
        try:
            yield version
        finally:
            version.users -= 1

    def find(self, spec: ModelSpec) -> Version:
        """Return the version that answers a request.

        Raises:
            RequestError: there is no such model or version.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.label and spec.label not in self._labels:
            raise invalid(f"Unrecognized servable version label: {spec.label}")
        if (
            spec.name != self._name
            or not self._current
            or spec.version not in (None, self._current.number)
        ):
            raise RequestError(StatusCode.NOT_FOUND, f"Servable not found for request: {spec}")
        return self._current

    def status(self, spec: ModelSpec) -> list[Version]:
        """Return the versions that a question for the status is about, the highest first.

        Raises:
            RequestError: there is no such model or version.
        """
        if spec.label:
            return [self.find(spec)]
        known = self._versions if spec.name == self._name else {}
        if spec.version is None:
            if not known:
                raise RequestError(
                    StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}"
                )
            return sorted(known.values(), key=lambda version: -version.number)
        if spec.version not in known:
            raise RequestError(
                StatusCode.NOT_FOUND,
                f"Could not find version {spec.version} of model {spec.name}",
            )
        return [known[spec.version]]

    async def stop(self) -> None:
        """Unload everything, after the last requests."""
        if self._current:
            self._retire(self._current)
            self._current = None
        await asyncio.gather(*self._unloading)
        self._thread.shutdown()

    def _retire(self, version: Version) -> None:
        version.state = State.UNLOADING
        task = asyncio.get_running_loop().create_task(self._unload(version))
        self._unloading.add(task)
        task.add_done_callback(self._unloading.discard)

    async def _unload(self, version: Version) -> None:
        while version.users:
            await asyncio.sleep(0.05)
        model, version.model = version.model, None
        await asyncio.get_running_loop().run_in_executor(self._thread, model.close)
        version.state = State.END
        logger.info("version %d of %s is unloaded", version.number, self._name)


def load_and_warm_up(path: Path) -> Model:
    """Load a SavedModel and call it, so that its first request is no slower than the others.

    Raises:
        StartError: it cannot be loaded, or fails on its own warm-up requests.
    """
    model = Model(path)
    try:
        warm_up(model, path)
    except BaseException:
        model.close()
        raise
    return model


def find_versions(base: Path) -> list[int]:
    """Return the numbers of the directories in a base directory, in order."""
    return sorted(int(path.name) for path in base.iterdir() if path.name.isdecimal())


def check_base(base: Path) -> None:
    """Find that a base directory holds a version.

    Raises:
        StartError: it does not.
    """
    if (base / "saved_model.pb").is_file():
        raise StartError(
            f"--model {base} is one version: give the directory above it, where the next will be"
        )
    if not base.is_dir() or not find_versions(base):
        raise StartError(f"--model {base} holds no export: make one with `tfcap export`")


def _stamp(path: Path) -> tuple:
    """Return what changes when the files of a version do."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return tuple((str(f), (stat := f.stat()).st_size, stat.st_mtime_ns) for f in files)
