"""COCO's captions JSON: a list of pictures, and a list of captions that name pictures by id."""

from collections import defaultdict
from collections.abc import Iterator

from records.errors import UserError
from records.sources.json_nodes import Node
from records.sources.rows import SourceRow
from records.sources.text import check_key

_REMEDY = "give a captions file such as captions_val2017.json, not instances or keypoints"


def coco_rows(document: Node) -> Iterator[SourceRow]:
    """Read a document with `images` and `annotations`; the pictures come in their order.

    Raises:
        UserError: a field is missing or has the wrong type, two pictures have one id, or a caption
            is for none of the pictures; the path is named.
    """
    images = {}
    for image in document.field("images").items():
        identifier = image.field("id")
        source_id = identifier.identifier()
        if source_id in images:
            raise UserError(f"{identifier.place}: {source_id} is there already: remove one of them")
        file_name = image.field("file_name")
        key = file_name.text()
        check_key(key, file_name.place)
        images[source_id] = key
    captions = _captions_by_id(document, images)
    for entry, (source_id, key) in enumerate(images.items(), start=1):
        for caption in captions.get(source_id, [None]):
            yield SourceRow(key, caption, None, source_id, entry)


def _captions_by_id(document: Node, images: dict[str, str]) -> dict[str, list[str]]:
    captions = defaultdict(list)
    for annotation in document.field("annotations").items():
        image_id = annotation.field("image_id")
        source_id = image_id.identifier()
        if source_id not in images:
            raise UserError(
                f"{image_id.place}: {source_id!r} is the id of none of the images: add the image, "
                "or remove its captions"
            )
        captions[source_id].append(annotation.field("caption", _REMEDY).text())
    return captions
