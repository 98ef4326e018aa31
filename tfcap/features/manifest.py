"""`manifest.json` of a feature cache: what the features are of, and the files that hold them."""

import dataclasses
import hashlib
import json
from pathlib import Path

from records.errors import UserError
from records.manifest import MANIFEST, ShardInfo
from records.specs import canonical_hash
from tfcap.features.spec import FeatureSpec


@dataclasses.dataclass(frozen=True)
class FeatureManifest:
    """What the directory of a feature cache holds.

    Attributes:
        spec: what the features are of.
        shape: (h, w, C) of a feature map.
        shards: the files: for each view, one for each shard of the dataset, with its records.
    """

    spec: FeatureSpec
    shape: tuple[int, int, int]
    shards: tuple[ShardInfo, ...]

    def to_json(self) -> str:
        """Return the text of `manifest.json`."""
        content = self._content() | {"fingerprint": canonical_hash(self._content())}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "FeatureManifest":
        """Read the text of a manifest.

        Raises:
            ValueError: no manifest, or one that was edited.
        """
        try:
            fields = json.loads(text)
            manifest = cls(
                FeatureSpec.from_dict(fields["features"]),
                tuple(fields["shape"]),
                tuple(ShardInfo(**shard) for shard in fields["shards"]),
            )
            edited = text != manifest.to_json()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"is no manifest of features ({type(error).__name__})") from None
        if edited:
            raise ValueError("was edited")
        return manifest

    def _content(self) -> dict:
        return {
            "key": self.spec.digest(),
            "features": self.spec.to_dict(),
            "shape": list(self.shape),
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
        }


def load_features(directory: Path, spec: FeatureSpec) -> FeatureManifest | None:
    """Read the manifest of a cache directory, and look whether its files are there.

    Sizes and indexes are checked; the records themselves have checksums that reading checks.

    Returns:
        The manifest; None where there is none, since nobody has written the features to the end.

    Raises:
        UserError: the manifest is damaged or of other features, or a file is not as it says.
    """
    path = directory / MANIFEST
    try:
        manifest = FeatureManifest.from_json(path.read_text("utf-8"))
        for shard in manifest.shards:
            _check_files(directory, shard)
    except (FileNotFoundError, NotADirectoryError) as error:
        if Path(error.filename) == path:
            return None
        raise damaged(f"{error.filename} is missing", directory) from None
    except OSError as error:
        raise damaged(f"{error.filename} cannot be read ({error.strerror})", directory) from None
    except ValueError as error:
        raise damaged(f"{path} {error}", directory) from None
    if manifest.spec != spec:
        raise damaged(f"{directory} holds features of another kind", directory)
    return manifest


def _check_files(directory: Path, shard: ShardInfo) -> None:
    size = (directory / shard.file).stat().st_size
    if size != shard.bytes:
        raise ValueError(f"says {shard.bytes} bytes of {shard.file}, which has {size}")
    index = (directory / shard.index_file).read_bytes()
    if hashlib.sha256(index).hexdigest() != shard.index_sha256:
        raise ValueError(f"says another SHA-256 of {shard.index_file}")


def damaged(problem: str, directory: Path) -> UserError:
    """Return the error of a damaged cache: what is wrong, in words, and what to do."""
    return UserError(f"{problem}: delete {directory}, and the features are written anew")
