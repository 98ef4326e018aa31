"""The dataset card: one page of HTML that shows a dataset to a person, and holds all it shows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from records.audit import Audit, Degeneracy, Likeness, PicturePair
from records.dead_letters import DeadLetter, Reason, parse_dead_letters
from records.errors import UserError
from records.example import PictureRecord
from records.manifest import DEAD_LETTERS, VOCABULARY, Manifest
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.reports import page, plots
from tfcap.reports.coverage import coverage_curve, coverage_of, vocabulary_ranking
from tfcap.reports.survey import SplitSurvey, summarise, survey_dataset
from tfcap.reports.thumbnails import data_uri, find_pictures, make_thumbnail
from tfcap.reports.word_cloud import HEIGHT, WIDTH, content_words, draw_word_cloud

PAIRS = 12  # pairs of pictures that are shown of each finding
ROWS = 50  # rows of the longer tables
FREQUENT_WORDS = 30
CAPTIONS = 10  # captions of a sample picture

REASONS = {
    Reason.MISSING: "the captions name a picture that is not there",
    Reason.UNDECODABLE: "the file is no picture, or a broken one",
    Reason.TRUNCATED: "the file ends before the picture does",
    Reason.TOO_SMALL: "fewer pixels than the picture policy asks for",
    Reason.TOO_LARGE: "more pixels than the picture policy allows",
    Reason.UNSUPPORTED_FORMAT: "a picture of a format that is not taken",
    Reason.DUPLICATE_KEY: "the source has the picture more than once",
    Reason.NO_CAPTION: "no caption of the picture is left",
    Reason.CAPTION_EMPTY: "nothing is left of the caption once it is cleaned",
    Reason.CAPTION_TOO_SHORT: "fewer words than the caption policy asks for",
    Reason.CAPTION_TOO_LONG: "more words than the caption policy allows",
}
LIKENESSES = {
    Likeness.BYTES: "the same source file",
    Likeness.PIXELS: "the same pixels",
    Likeness.NEAR: "nearly the same",
    Likeness.CAPTIONS: "the same captions",
}
DEGENERACIES = {
    Degeneracy.SHORT: "hardly any words",
    Degeneracy.ONE_WORD: "one word over and over",
    Degeneracy.REPEATED: "the picture has it already",
}


class Finding(NamedTuple):
    """One kind of finding of the audit.

    Attributes:
        name: its heading.
        meaning: what it is, in words.
        count: how many there are.
        pairs: the pairs of pictures that are shown of it, if it is one of pairs.
    """

    name: str
    meaning: str
    count: int
    pairs: Sequence[PicturePair] = ()


def make_dataset_card(
    directory: Path,
    manifest: Manifest,
    audit: Audit,
    progress: Callable[[int], None] = lambda pictures: None,
) -> str:
    """Read a dataset and render its card.

    Args:
        directory: of the dataset.
        manifest: its manifest.
        audit: of the same dataset.
        progress: called with the number of pictures read since the last call.

    Returns:
        a whole HTML page; of the same dataset always the same.

    Raises:
        CorruptRecord: a damaged record.
        OSError: a file of the dataset cannot be read.
        UserError: an invalid file of the dataset, or an audit of another one.
    """
    if audit.fingerprint != manifest.fingerprint:
        raise UserError(
            f"the audit is of fingerprint {audit.fingerprint[:12]}, the dataset has "
            f"{manifest.fingerprint[:12]}: audit it again"
        )
    vocabulary = Vocabulary.read(directory / VOCABULARY)
    letters_file = directory / DEAD_LETTERS
    letters = letters_file.read_text("utf-8", errors="replace")
    dead_letters = parse_dead_letters(letters, str(letters_file))
    survey = survey_dataset(directory, manifest, progress)
    samples = [key for split in survey.values() for key in split.sample_keys]
    pairs = [pair for finding in _findings(audit) for pair in finding.pairs]
    keys = [*samples, *(key for pair in pairs for key in pair.keys)]
    pictures = find_pictures(directory, manifest, keys)
    return render_dataset_card(manifest, vocabulary, survey, dead_letters, audit, pictures)


def render_dataset_card(
    manifest: Manifest,
    vocabulary: Vocabulary,
    survey: Mapping[str, SplitSurvey],
    dead_letters: Iterable[DeadLetter],
    audit: Audit,
    pictures: Mapping[str, PictureRecord],
) -> str:
    """Render the card of a dataset.

    Args:
        manifest: of the dataset.
        vocabulary: of the dataset.
        survey: what `survey_dataset` gave.
        dead_letters: all of them; the first `ROWS` are shown.
        audit: of the dataset.
        pictures: records by key: the samples of the survey, and the pairs of the audit.

    Returns:
        a whole HTML page without scripts or references to anything outside of it.
    """
    thumbnails = {
        key: make_thumbnail(record.encoded, manifest.picture) for key, record in pictures.items()
    }
    return page.render(
        "dataset_card.html",
        manifest=manifest,
        survey=survey,
        vocabulary_words=len(vocabulary) - len(SPECIALS),
        figures={name: Markup(svg) for name, svg in _figures(survey, vocabulary).items()},
        coverage={
            name: coverage_of(split.word_counts, vocabulary) for name, split in survey.items()
        },
        frequent_words=_frequent_words(survey),
        cloud=_cloud(survey),
        dead_letters=list(dead_letters)[:ROWS],
        audit=audit,
        findings=_findings(audit),
        pictures=pictures,
        thumbnails=thumbnails,
        summarise=summarise,
        REASONS={reason.value: meaning for reason, meaning in REASONS.items()},
        LIKENESSES=LIKENESSES,
        DEGENERACIES=DEGENERACIES,
        CAPTIONS=CAPTIONS,
        PAIRS=PAIRS,
        ROWS=ROWS,
        cut=_cut,
        LONGEST_CAPTION=plots.LONGEST_CAPTION,
    )


def _figures(survey: Mapping[str, SplitSurvey], vocabulary: Vocabulary) -> dict[str, str]:
    """Draw the plots, of the splits that have something to draw; SVG by name."""
    pictured = {name: split for name, split in survey.items() if split.pictures}
    worded = {name: split for name, split in survey.items() if split.tokens}
    figures = {}
    if pictured:
        figures |= {
            "sizes": plots.plot_sizes(pictured),
            "aspect_ratios": plots.plot_aspect_ratios(pictured),
            "jpeg_sizes": plots.plot_jpeg_sizes(pictured),
        }
    if worded:
        figures |= {
            "caption_lengths": plots.plot_caption_lengths(worded),
            "rank_frequency": plots.plot_rank_frequency(worded),
        }
    ranking = vocabulary_ranking(vocabulary, survey)
    if worded and ranking:
        curves = {
            name: coverage_curve(split.word_counts, ranking) for name, split in worded.items()
        }
        figures["coverage"] = plots.plot_coverage(curves, len(vocabulary) - len(SPECIALS))
    return figures


def _all_word_counts(survey: Mapping[str, SplitSurvey]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for split in survey.values():
        for word, count in split.word_counts.items():
            counts[word] = counts.get(word, 0) + count
    return counts


def _frequent_words(survey: Mapping[str, SplitSurvey]) -> list[tuple[str, int]]:
    counts = _all_word_counts(survey)
    return [(word, counts[word]) for word in content_words(counts, FREQUENT_WORDS)]


def _cloud(survey: Mapping[str, SplitSurvey]) -> dict | None:
    png = draw_word_cloud(_all_word_counts(survey))
    if png is None:
        return None
    return {"uri": data_uri(png, "image/png"), "width": WIDTH, "height": HEIGHT}


def _findings(audit: Audit) -> list[Finding]:
    def of_pairs(name: str, meaning: str, pairs: Sequence[PicturePair]) -> Finding:
        return Finding(name, meaning, len(pairs), pairs[:PAIRS])

    inside = tuple(pair for pair in audit.duplicates if not pair.leak)
    shared, degenerate = len(audit.shared_captions), len(audit.degenerate_captions)
    return [
        of_pairs("Leaks", "duplicate pictures in different splits", audit.leaks),
        of_pairs("Duplicates", "duplicate pictures inside of a split", inside),
        of_pairs(
            "Equal caption sets",
            "pictures of different splits that have all captions in common",
            audit.equal_caption_sets,
        ),
        Finding("Shared captions", "captions that pictures of several splits carry", shared),
        Finding("Degenerate captions", "captions that teach nothing", degenerate),
    ]


def _cut(count: int, shown: int) -> str:
    """Return what is said of a list that is cut short; nothing of a whole one."""
    return f"; the first {shown:,} of {count:,}" if count > shown else ""
