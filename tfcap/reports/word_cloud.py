"""The words of a dataset: the frequent ones that say something, and a picture of them."""

import io
from collections.abc import Mapping

from wordcloud import STOPWORDS, WordCloud

from tfcap.reports.survey import by_frequency

WIDTH, HEIGHT = 800, 360  # pixels of the cloud

# Cleaned captions have the possessive as a word of its own.
_NO_CONTENT = STOPWORDS | {"'s"}
_LONGEST_WORD = 30  # letters; longer ones are no words, and would find no room in the cloud
# Readable on white and on near-black: contrast of 4 to 1 or more with both.
_COLOURS = ("#2b7fc4", "#cc5c10", "#178f63", "#aa5cbd")


def content_words(word_counts: Mapping[str, int], limit: int) -> list[str]:
    """Return the most frequent words that are no stop words, marks or numbers.

    Args:
        word_counts: occurrences by word.
        limit: how many words to return at most.
    """
    return [
        word
        for word in by_frequency(word_counts)
        if word.lower() not in _NO_CONTENT and any(map(str.isalpha, word))
    ][:limit]


def draw_word_cloud(word_counts: Mapping[str, int]) -> bytes | None:
    """Draw the 150 most frequent content words, sizes by frequency, always in the same way.

    Args:
        word_counts: occurrences by word.

    Returns:
        a PNG of `WIDTH` by `HEIGHT` pixels on a transparent ground; None where no word is left.
    """
    words = [word for word in content_words(word_counts, 150) if len(word) <= _LONGEST_WORD]
    if not words:
        return None
    cloud = WordCloud(
        width=WIDTH,
        height=HEIGHT,
        mode="RGBA",
        background_color=None,
        # Without it, two words that find no room together are an error.
        max_font_size=HEIGHT // 3,
        prefer_horizontal=1.0,
        random_state=0,
        color_func=lambda word, **_: _COLOURS[len(word) % len(_COLOURS)],
    )
    cloud.generate_from_frequencies({word: word_counts[word] for word in words})
    file = io.BytesIO()
    cloud.to_image().save(file, "PNG", optimize=True)
    return file.getvalue()
