"""Files that are whole or not there at all."""

import secrets
from pathlib import Path


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file under a temporary name beside its own, then rename it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
