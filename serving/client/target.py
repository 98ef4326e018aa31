"""Where a model is served."""

import dataclasses
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True)
class Target:
    """A served model.

    Attributes:
        url: `http://HOST:PORT` or `https://` for REST, `grpc://HOST:PORT` or `grpcs://` for gRPC.
        model: its name on the server.
        version: number of the version to ask; None leaves it to the server.
        label: label of the version to ask, in place of its number.

    Raises:
        ValueError: the URL is of another form, or version and label are both given.
    """

    url: str
    model: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self):
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.netloc:
            raise ValueError(
                f"url must be http://HOST:PORT, https://, grpc:// or grpcs://, got {self.url!r}"
            )
        if self.is_grpc and parts.path.strip("/"):
            raise ValueError(f"a gRPC url is grpc://HOST:PORT without a path, got {self.url!r}")
        if self.version is not None and self.label is not None:
            raise ValueError(f"give version={self.version} or label={self.label!r}, not both")

    @property
    def is_grpc(self) -> bool:
        return self.url.startswith("grpc")
