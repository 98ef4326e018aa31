"""TensorFlow Serving's REST interface, in columns."""

import base64
import contextlib
import json
from collections.abc import Iterator
from urllib.parse import quote

import httpx

from serving.client.calls import Columns
from serving.client.errors import InvalidAnswer, Refused, ServerFailed, Unavailable, Unreachable
from serving.client.results import VersionStatus
from serving.client.target import Target


class Transport:
    """Asks over a connection that is kept."""

    def __init__(self, target: Target, timeout: float):
        self._target = target
        self._http = httpx.Client(base_url=target.url, timeout=timeout)

    def predict(self, signature: str, columns: Columns) -> Columns:
        with _reaching(self._target):
            answer = self._http.post(
                f"{_path(self._target)}:predict", content=_body(signature, columns)
            )
        return _read_outputs(answer)

    def status(self) -> tuple[VersionStatus, ...]:
        with _reaching(self._target):
            answer = self._http.get(_path(self._target))
        return _read_status(answer)

    def close(self) -> None:
        self._http.close()


class AsyncTransport:
    """The same for asyncio."""

    def __init__(self, target: Target, timeout: float):
        self._target = target
        self._http = httpx.AsyncClient(base_url=target.url, timeout=timeout)

    async def predict(self, signature: str, columns: Columns) -> Columns:
        with _reaching(self._target):
            answer = await self._http.post(
                f"{_path(self._target)}:predict", content=_body(signature, columns)
            )
        return _read_outputs(answer)

    async def status(self) -> tuple[VersionStatus, ...]:
        with _reaching(self._target):
            answer = await self._http.get(_path(self._target))
        return _read_status(answer)

    async def close(self) -> None:
        await self._http.aclose()


def _path(target: Target) -> str:
    path = f"/v1/models/{quote(target.model, safe='')}"
    if target.version is not None:
        path += f"/versions/{target.version}"
    if target.label is not None:
        path += f"/labels/{quote(target.label, safe='')}"
    return path


def _body(signature: str, columns: Columns) -> bytes:
    def encode(value):
        if isinstance(value, bytes):
            return {"b64": base64.b64encode(value).decode("ascii")}
        return value

    inputs = {name: [encode(value) for value in column] for name, column in columns.items()}
    return json.dumps({"signature_name": signature, "inputs": inputs}).encode("utf-8")


@contextlib.contextmanager
def _reaching(target: Target) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException:
        raise Unreachable(f"{target.url} did not answer in time") from None
    except httpx.TransportError as error:
        raise Unreachable(f"{target.url} cannot be reached: {error}") from None


def _read_outputs(answer: httpx.Response) -> Columns:
    found = _read_json(answer).get("outputs")
    if not isinstance(found, dict):
        raise InvalidAnswer("the answer has no named outputs: it is no captioner of tfcap")
    return found


def _read_status(answer: httpx.Response) -> tuple[VersionStatus, ...]:
    versions = _read_json(answer).get("model_version_status", [])
    try:
        return tuple(
            VersionStatus(int(one["version"]), one["state"], one["status"]["error_message"])
            for one in versions
        )
    except (KeyError, TypeError, ValueError):
        raise InvalidAnswer(f"this is no status of a model: {versions!r:.200}") from None


def _read_json(answer: httpx.Response) -> dict:
    """Return the object of a good answer, and raise what a bad one says."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if answer.status_code == 200 and isinstance(found, dict):
        return found
    said = found.get("error") if isinstance(found, dict) else answer.text[:200]
    message = f"{answer.request.url} answers {answer.status_code}: {said}"
    if answer.status_code in (429, 503):
        raise Unavailable(message, _seconds(answer.headers.get("Retry-After", "")))
    if 400 <= answer.status_code < 500:
        raise Refused(message)
    raise ServerFailed(message) if answer.status_code >= 500 else InvalidAnswer(message)


def _seconds(header: str) -> float:
    """Return what a Retry-After header says; its other form, a date, counts as nothing."""
    return float(header) if header.isdecimal() else 0.0
