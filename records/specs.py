"""What every frozen specification shares: a canonical JSON form and a hash."""

import dataclasses
import hashlib
import json


class Spec:
    """Mixin for frozen dataclasses that travel with data: in a manifest, a run, an export."""

    def to_dict(self) -> dict:
        """Return the fields as JSON-ready values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict):
        """Rebuild the spec from `to_dict`; unknown fields raise TypeError."""
        return cls(**fields)

    def digest(self) -> str:
        """Return 16 hex digits that change whenever a field does."""
        return canonical_hash({type(self).__name__: self.to_dict()})[:16]


def canonical_json(value) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def canonical_hash(value) -> str:
    """Return the SHA-256 of `canonical_json(value)` as 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()
