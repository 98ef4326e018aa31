"""A served model for tests of what talks to one."""

import dataclasses
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where version 1 of the model `tfcap` is served, labelled stable and canary.

    Attributes:
        rest: base URL, `http://HOST:PORT`.
        grpc: `HOST:PORT`.
        export: directory of the SavedModel that is served.
    """

    rest: str
    grpc: str
    export: Path


@pytest.fixture(scope="session")
def serving_endpoint(tmp_path_factory) -> Iterator[Endpoint]:
    """A served model with every signature of an export."""
    import stand_in_export
    import stand_in_server

    export = stand_in_export.save(tmp_path_factory.mktemp("served"))
    with stand_in_server.serving(str(export), "tfcap") as (rest, grpc):
        yield Endpoint(rest, grpc, export)


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Three JPEGs."""

    def draw(seed: int) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8 + seed, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG")
        return file.getvalue()

    return [draw(seed) for seed in range(3)]
