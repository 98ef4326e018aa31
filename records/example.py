"""Picture records: one `tf.train.Example` per picture."""

import dataclasses

from records.features import BYTES, INT64, Features, bytes_feature, encode_features, int64_feature

_FORMAT = b"jpeg"


@dataclasses.dataclass(frozen=True)
class PictureRecord:
    """A picture with all its captions.

    Attributes:
        encoded: the JPEG: upright, RGB.
        height: of the JPEG, in pixels.
        width: of the JPEG, in pixels.
        filename: of the source picture.
        source_id: what the source data set calls the picture.
        sha256: of the source picture's bytes, 64 hex digits.
        raw_captions: the captions as their authors wrote them.
        captions: the same, cleaned, in the same order.
    """

    encoded: bytes
    height: int
    width: int
    filename: str
    source_id: str
    sha256: str
    raw_captions: tuple[str, ...]
    captions: tuple[str, ...]

    def __post_init__(self):
        if len(self.raw_captions) != len(self.captions):
            raise ValueError(
                f"{self.filename}: {len(self.raw_captions)} raw captions, "
                f"{len(self.captions)} cleaned"
            )


def encode_example(record: PictureRecord) -> bytes:
    """Return the record as a serialized `tf.train.Example`; equal records give equal bytes."""
    features = {
        "image/encoded": bytes_feature([record.encoded]),
        "image/format": bytes_feature([_FORMAT]),
        "image/height": int64_feature([record.height]),
        "image/width": int64_feature([record.width]),
        "image/filename": bytes_feature([record.filename.encode()]),
        "image/source_id": bytes_feature([record.source_id.encode()]),
        "image/key/sha256": bytes_feature([record.sha256.encode()]),
        "caption/raw": bytes_feature([caption.encode() for caption in record.raw_captions]),
        "caption/text": bytes_feature([caption.encode() for caption in record.captions]),
    }
    return encode_features(features)


def decode_example(payload: bytes) -> PictureRecord:
    """Rebuild the record from a serialized `tf.train.Example`, by whatever library it was written.

    Raises:
        ValueError: bytes that are no such message, a feature that is absent or has another type.
    """
    features = Features(payload)
    single, values = features.single, features.values
    if single("image/format", BYTES) != _FORMAT:
        raise ValueError("feature 'image/format' is not 'jpeg'")
    return PictureRecord(
        encoded=single("image/encoded", BYTES),
        height=single("image/height", INT64),
        width=single("image/width", INT64),
        filename=single("image/filename", BYTES).decode(),
        source_id=single("image/source_id", BYTES).decode(),
        sha256=single("image/key/sha256", BYTES).decode(),
        raw_captions=tuple(text.decode() for text in values("caption/raw", BYTES)),
        captions=tuple(text.decode() for text in values("caption/text", BYTES)),
    )
