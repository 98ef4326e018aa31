"""What an export says of where it comes from: as JSON for programs, as a page for people."""

from pathlib import Path

from tfcap import runs
from tfcap.captioner import Captioner
from tfcap.config import RunConfig
from tfcap.features.spec import identify_encoder
from tfcap.search import SearchSpec

_PAGE = """\
# {encoder} + {decoder}: captions of pictures

Says one English sentence about a picture: JPEG, PNG, GIF, BMP or WebP bytes in, text out.

| | |
|---|---|
{facts}

## Validation

Figures of the epoch that was chosen, by greedy search; COCO's scales (CIDEr-D of 1 is 100 points).

| metric | value |
|---|---|
{figures}

## Know before use

- It says what was common in its training captions. Of what was rare or absent there (most objects
  of the world, text, numbers, names) it says something else that is likely, in the same sure tone:
  look at `log_prob`, and at `score` for what you suppose.
- It guesses ages, genders and relations of people from their looks, as its training captions did,
  and is often wrong: do not decide about people by it.
- Pictures of its data sets may have terms of their own: Flickr8k is for research.
"""


def describe_export(
    run: Path, captioner: Captioner, portable: bool, how: SearchSpec, members: int
) -> dict:
    """Return what a user of an export may want to know about where it comes from.

    Args:
        run: directory of the run, or of an ensemble's first.
        captioner: what is exported.
        portable: whether with core ops only.
        how: captions are searched for.
        members: runs that speak as one.
    """
    config = RunConfig.load(run / runs.CONFIG)
    history = runs.read_history(run)
    return {
        "portable": portable,
        "dataset_fingerprint": config.fingerprint,
        "picture": config.picture.to_dict(),
        "picture_digest": config.picture.digest(),
        "caption": config.caption.to_dict(),
        "caption_digest": config.caption.digest(),
        "model": config.model.to_dict(),
        "encoder_sha256": identify_encoder(config.model.encoder, captioner.encoder).weights,
        "decoder_sha256": runs.weights_fingerprint(str(run / runs.DECODER)),
        "vocabulary_words": len(captioner.vocabulary),
        "members": members,
        "search": how.to_dict(),
        "training": config.training.to_dict(),
        "best_epoch": max(history, key=lambda figures: figures["val_CIDEr"], default=None),
    }


def render_card(description: dict) -> str:
    """Return the Markdown page of a `describe_export`."""
    model, search = description["model"], description["search"]
    best = description["best_epoch"] or {}
    facts = {
        "Encoder": f"{model['encoder']}, weights {description['encoder_sha256']}",
        "Decoder": f"{model['decoder']['kind']}, weights {description['decoder_sha256']}",
        "Runs that speak as one": description["members"],
        "Picture": f"{description['picture']['size']}x{description['picture']['size']} pixels, "
        f"policy {description['picture_digest']}",
        "Captions": f"up to {model['max_words']} words, of {description['vocabulary_words']}, "
        f"cleaning {description['caption_digest']}",
        "Search": ", ".join(f"{name} {value}" for name, value in search.items()),
        "Trained on": f"dataset {description['dataset_fingerprint']}",
        "Objective": description["training"]["objective"],
    }
    figures = {
        name.removeprefix("val_"): f"{value:.4g}"
        for name, value in best.items()
        if name.startswith("val_")
    }
    return _PAGE.format(
        encoder=model["encoder"],
        decoder=model["decoder"]["kind"],
        facts=_rows(facts),
        figures=_rows(figures or {"none": "not trained here"}),
    )


def _rows(cells: dict) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in cells.items())
