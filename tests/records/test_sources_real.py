"""Flickr8k's own caption files, and the other forms made from them: the same captions in all."""

import json
from collections import defaultdict

import pytest

from records.sources import parse_source

GHOST = "2258277193_586949ec62.jpg.1"  # the token file names it; there is no such picture


@pytest.fixture(scope="module")
def kaggle_rows(shared):
    return list(parse_source((shared / "flickr8k/captions.txt").read_bytes(), "captions.txt"))


@pytest.fixture(scope="module")
def captions_of(kaggle_rows):
    captions = defaultdict(list)
    for row in kaggle_rows:
        captions[row.key].append(row.caption)
    return captions


def pairs(rows):
    return sorted((row.key, row.caption) for row in rows)


def test_the_two_files_as_published_agree_but_for_the_ghost(shared, kaggle_rows, captions_of):
    content = (shared / "flickr8k/Flickr8k.token.txt").read_bytes()
    token_rows = list(parse_source(content, "Flickr8k.token.txt"))
    assert {len(captions) for captions in captions_of.values()} == {5}
    assert GHOST not in captions_of
    assert len([row for row in token_rows if row.key == GHOST]) == 5
    assert pairs(row for row in token_rows if row.key != GHOST) == pairs(kaggle_rows)


def test_every_json_form_holds_the_same_captions(kaggle_rows, captions_of):
    karpathy = [
        {"filename": key, "imgid": index, "sentences": [{"raw": text} for text in captions]}
        for index, (key, captions) in enumerate(captions_of.items())
    ]
    ids = {key: index for index, key in enumerate(captions_of)}
    coco = {
        "images": [{"id": index, "file_name": key} for key, index in ids.items()],
        "annotations": [
            {"image_id": ids[row.key], "id": index, "caption": row.caption}
            for index, row in enumerate(kaggle_rows)
        ],
    }
    by_picture = [{"image": key, "captions": texts} for key, texts in captions_of.items()]
    by_caption = [{"image": row.key, "caption": row.caption} for row in kaggle_rows]
    texts = {
        "karpathy": json.dumps({"images": karpathy, "dataset": "flickr8k"}),
        "coco": json.dumps(coco),
        "by picture": "\n".join(map(json.dumps, by_picture)),
        "by caption": "\n".join(map(json.dumps, by_caption)),
    }
    for name, text in texts.items():
        assert pairs(parse_source(text.encode(), name)) == pairs(kaggle_rows)
