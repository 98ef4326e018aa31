"""`tfcap search`: find pictures among those that `caption_images` captioned."""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

HELP = "find pictures by words, or by another picture"
DESCRIPTION = """\
Search what `python -m beam_jobs.caption_images` wrote. Print a line for each picture, the best
first: its score, its path and its caption, separated by tabs.

With words, pictures are ranked by how well their captions match: the cosine of TF-IDF vectors, of
words cleaned as the captions were. With --model too, the --candidates best by text are ranked
again, by ln p(words | picture): the model looks at the picture files, which have to be here.

With --like, pictures are ranked by the cosine of their embeddings, which `caption_images
--embeddings` writes. A picture that is not in the index takes --model, an export of the same run.

Examples:
  tfcap search --index index/photos "a dog in the snow"
  tfcap search --index index/photos --model exports/large "a dog in the snow"
  tfcap search --index index/photos --like holiday.jpg --model exports/large"""

# Of two exports with these in common, embeddings are the same.
_OF_EMBEDDINGS = ("picture", "encoder_sha256")
_BATCH = 32


class Result(NamedTuple):
    """A picture that was found."""

    path: str
    score: float
    caption: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("query", nargs="?", metavar="WORDS", help="what is to be seen, in quotes")
    add("--like", type=Path, metavar="PICTURE", help="a picture, instead of words")
    add(
        "--index",
        type=Path,
        required=True,
        metavar="DIR",
        help="what `caption_images` wrote; text matches need no --embeddings",
    )
    add("--model", type=Path, metavar="EXPORT", help="as of `tfcap caption`")
    add("--top", type=int, default=10, metavar="N", help="pictures to print (default: 10)")
    add(
        "--candidates",
        type=int,
        default=200,
        metavar="N",
        help="pictures that the model looks at, the best by text first (default: 200)",
    )
    add("--json", action="store_true", help="print one JSON object instead")


def run(arguments: argparse.Namespace) -> int:
    from records.caption_manifest import load_caption_manifest

    _check(arguments)
    manifest = load_caption_manifest(arguments.index)
    if arguments.like is not None:
        by, results = "embedding", _search_like(arguments, manifest)
    else:
        by = "text" if arguments.model is None else "likelihood"
        results = _search_words(arguments, manifest)
    if arguments.json:
        found = [result._asdict() for result in results]
        print(json.dumps({"by": by, "results": found}, indent=1, ensure_ascii=False))
        return 0
    for result in results:
        print(f"{result.score:.4f}\t{result.path}\t{result.caption}")
    if not results:
        print("no caption has any of these words", file=sys.stderr)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    from records.errors import UserError

    for name in ("top", "candidates"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if (arguments.query is None) == (arguments.like is None):
        raise UserError('give either words in quotes, "a dog in the snow", or --like PICTURE')


def _search_words(arguments: argparse.Namespace, manifest) -> list[Result]:
    from records.caption_manifest import read_captions
    from records.captions import tokenize_caption
    from records.errors import UserError
    from tfcap.retrieval.text_match import match_captions

    query = tokenize_caption(arguments.query, manifest.cleaning)
    if not query:
        raise UserError(f"no word is left of {arguments.query!r} when it is cleaned")
    rows = sorted((row.path, row.caption) for row in read_captions(arguments.index, manifest))
    words = [tokenize_caption(caption, manifest.cleaning) for _, caption in rows]
    matches = match_captions(query, words)
    if arguments.model is None:
        best = matches[: arguments.top]
        return [Result(rows[each.index][0], each.score, rows[each.index][1]) for each in best]
    matched = [each.index for each in matches[: arguments.candidates]]
    others = sorted(set(range(len(rows))).difference(each.index for each in matches))
    candidates = [*matched, *others][: arguments.candidates]
    return _by_likelihood(arguments, [rows[index] for index in candidates])


def _by_likelihood(
    arguments: argparse.Namespace, candidates: Iterable[tuple[str, str]]
) -> list[Result]:
    from records.errors import UserError
    from tfcap.cli.pictures import ready_pictures
    from tfcap.export import load_export
    from tfcap.retrieval.likelihood import score_pictures

    export, captions = load_export(arguments.model), dict(candidates)
    pictures = ready_pictures([(path, Path(path)) for path in captions], export.picture)
    results, errors = [], []
    scored = score_pictures(_signature(export, "score"), arguments.query, pictures, _BATCH)
    for path, log_prob, error in scored:
        if error:
            errors.append(error)
            print(f"{path}: left out: {error}", file=sys.stderr)
        else:
            results.append(Result(path, log_prob, captions[path]))
    if not results:
        raise UserError(
            f"{arguments.model} could score none of {len(captions)} pictures "
            f"({errors[0] if errors else 'their files cannot be read here'}): leave out --model "
            "to search by text"
        )
    return sorted(results, key=lambda each: (-each.score, each.path))[: arguments.top]


def _search_like(arguments: argparse.Namespace, manifest) -> list[Result]:
    from records.caption_manifest import read_captions
    from records.errors import UserError
    from tfcap.retrieval.similarity import nearest

    if manifest.embedding_size is None:
        raise UserError(
            f"{arguments.index} holds no embeddings: write it again, `caption_images --embeddings`"
        )
    source = arguments.like.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    known = (row for row in read_captions(arguments.index, manifest) if row.sha256 == digest)
    same = next(known, None)
    vector = same.embedding if same else _embed(arguments, manifest, source)
    found = nearest(vector, read_captions(arguments.index, manifest), arguments.top)
    return [Result(row.path, cosine, row.caption) for row, cosine in found]


def _embed(arguments: argparse.Namespace, manifest, source: bytes) -> list[float]:
    """Return the embedding of a picture that is not in the index."""
    from records.errors import UserError
    from records.pictures import PictureRejected, normalise_picture

    if arguments.model is None:
        raise UserError(f"{arguments.like} is not in {arguments.index}: give --model, to embed it")
    from tfcap.export import load_export
    from tfcap.retrieval.embedding import embed_picture

    export = load_export(arguments.model)
    for name in _OF_EMBEDDINGS:
        if export.card.get(name) != manifest.card.get(name):
            raise UserError(
                f"{export.path} is of another run than the export of {arguments.index} ({name} "
                f"{export.card.get(name)}, there {manifest.card.get(name)}): their embeddings "
                "cannot be compared; give an export of the same run"
            )
    try:
        encoded = normalise_picture(source, export.picture).encoded
    except PictureRejected as error:
        raise UserError(f"{arguments.like}: {error.reason}: {error.detail}") from None
    return embed_picture(_signature(export, "embed"), encoded, str(arguments.like))


def _signature(export, name: str):
    from records.errors import UserError

    if name not in export.signatures:
        raise UserError(f"{export.path} has no signature {name!r}: export the run again")
    return export.signatures[name]
