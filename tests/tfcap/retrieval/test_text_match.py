from hypothesis import given
from hypothesis import strategies as st

from tfcap.retrieval.text_match import match_captions

WORDS = ["a", "dog", "cat", "runs", "in", "the", "snow"]
CAPTION = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5)


def ranked(query, *captions):
    return [m.index for m in match_captions(query.split(), [each.split() for each in captions])]


@given(st.lists(CAPTION, min_size=1, max_size=12, unique_by=tuple), st.data())
def test_a_caption_searched_for_verbatim_is_found_first(captions, data):
    """Among distinct captions, those of the same words in another order included."""
    wanted = data.draw(st.sampled_from(captions))
    first, *others = match_captions(wanted, captions)
    assert captions[first.index] == wanted
    assert abs(first.score - 1) < 1e-12
    assert all(0 < each.score <= 1 + 1e-12 for each in others)
    scores = [each.score for each in others]
    assert scores == sorted(scores, reverse=True)


@given(st.lists(CAPTION, max_size=12), CAPTION)
def test_only_captions_that_share_a_word_are_found(captions, query):
    found = {each.index for each in match_captions(query, captions)}
    assert found == {i for i, words in enumerate(captions) if set(words) & set(query)}


def test_a_rare_word_counts_more_than_common_ones():
    captions = ("a dog in a house", "a man in the sun", "snow", "a cat in the house")
    assert ranked("in the snow", *captions)[0] == 2
    # As much is shared, but of a shorter caption.
    assert ranked("dog", "a dog runs", "the dog") == [1, 0]


def test_equals_stay_in_order_and_strangers_are_left_out():
    assert ranked("dog", "a dog", "a cat", "a dog", "dog a") == [0, 2, 3]
    assert ranked("unicorn", "a dog") == []
