import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcap.metrics.ptb import PUNCTUATION, ptb_tokenize

# Left: raw captions; right: what the Stanford PTBTokenizer 3.4.1 and the COCO code made of them.
OBSERVED = {
    "A dog's running, in the grass .": "a dog 's running in the grass",
    "The dogs' ball isn't red!": "the dogs ball is n't red",
    "Two-year-old boy (smiling) at camera...": "two-year-old boy -lrb- smiling -rrb- at camera",
    "[a] {b}": "-lsb- a -rsb- -lcb- b -rcb-",
    "A boy -- about 2 -- smiles - a–b—c": "a boy about 2 smiles a b c",
    "A man says \"hello\" to 'a' woman; ``she`` ''waves''": "a man says hello to a woman she waves",
    "The team #9 player & his coach @ 5:30 p.m.": "the team # 9 player & his coach @ 5:30 p.m.",
    "A café in the 1990's, '90s": "a café in the 1990 's '90s",
    "I can't, won't & DON'T know": "i ca n't wo n't & do n't know",
    "they'll've gone, I'm sure you're he'd": "they 'll 've gone i 'm sure you 're he 'd",
    "can’t dog’s “hello” ‘hi’ dogs’": "ca n't dog 's hello hi dogs",
    "We cannot, gonna 'tis": "we can not gon na 't is",
    "O'Brien at 5 o'clock ma'am rock 'n' roll": "o'brien at 5 o'clock ma'am rock 'n' roll",
    "y'all 'em abc'def": "y' all 'em abc def",
    "at&t AT&T a&b &amp;": "at & t at&t a & b &",
    "$5.00 5% 1,000 .5 -5 1/2 ½ 5pm 5:30pm": "$ 5.00 5 % 1,000 .5 -5 1/2 1/2 5pm 5:30 pm",
    "£5 €5 50¢": "# 5 $ 5 50 cents",
    "10-12' 2,000-foot 4x4 3rd 1990-1995": "10-12 2,000-foot 4x4 3rd 1990-1995",
    "S.C.U.B.A. in D.C. by Mr. Doe Jr. vs. Dr. X.": "s.c.u.b.a. in d.c. by mr. doe jr. vs. dr. x.",
    "Ill. is a state, he is ill.": "ill. is a state he is ill",
    "no. 9 is a no. dog": "no. 9 is a no dog",
    "statefarm.com and/or w/ RIF=ding": "statefarm.com and/or w / rif = ding",
    "who?! what??": "who ?! what ??",
    "<start> a < b": "<start> a < b",
    "dash- -dash t-shirt's": "dash dash t-shirt 's",
    "smile :) 😀 ♥": "smile :-rrb- ♥",
    "": "",
    " ... ": "",
}


@pytest.mark.parametrize("caption", OBSERVED)
def test_agrees_with_the_original(caption):
    assert " ".join(ptb_tokenize(caption)) == OBSERVED[caption]


@given(st.text())
def test_tokens_are_lower_case_words_without_blanks(caption):
    tokens = ptb_tokenize(caption)
    assert tokens == " ".join(tokens).split()
    assert not PUNCTUATION.intersection(tokens)
    assert tokens == [token.lower() for token in tokens]


@given(st.lists(st.text("abcdefghij", min_size=2), min_size=1))
def test_plain_words_stay_as_they_are(words):
    assert ptb_tokenize(" ".join(words)) == words
    assert ptb_tokenize(" ".join(words).upper() + " .") == words
