"""Karpathy's `dataset_flickr8k.json` and its like: an entry a picture, with split and captions."""

from collections.abc import Iterator

from records.sources.json_nodes import Node
from records.sources.rows import SourceRow
from records.sources.text import check_key

_REMEDY = "give Karpathy's dataset JSON, or COCO's captions JSON, which has annotations"


def karpathy_rows(document: Node) -> Iterator[SourceRow]:
    """Read a document with `images`, of which each has its `sentences`.

    `imgid` and `split` may be absent.

    Raises:
        UserError: a field is missing or has the wrong type; its path is named.
    """
    for entry, image in enumerate(document.field("images").items(), start=1):
        filename = image.field("filename", _REMEDY)
        key = filename.text()
        check_key(key, filename.place)
        source_id = image.field("imgid").identifier() if "imgid" in image else key
        split = image.field("split").text() if "split" in image else None
        sentences = image.field("sentences", _REMEDY).items()
        captions = [sentence.field("raw").text() for sentence in sentences]
        for caption in captions or [None]:
            yield SourceRow(key, caption, split, source_id, entry)
