r"""Penn Treebank tokenization as the COCO caption evaluation does it, without Java.

The COCO code passes every caption through the Stanford PTBTokenizer 3.4.1 (`-preserveLines
-lowerCase`), drops the tokens in `PUNCTUATION` and splits what is left at white space. Scores are
comparable with published ones only after the same tokenization, so it is rebuilt here from its
observed answers: one ordered alternation, `TOKEN`, of which the first branch that fits wins.

Equal to the original on the 35,460 captions of Flickr8k outside the test split, and on
contractions, possessives, acronyms, abbreviations, numbers, quotes and brackets. Known to differ in
what captions hardly hold: telephone numbers in brackets, names of programming languages,
superscripts, rarer emoticons, a curly apostrophe before a word, a sentence that ends in a single
letter before another sentence.
"""

import re
import unicodedata

# The COCO code compares its list with tokens already in lower case, so that its "-LRB-" never
# removes "-lrb-": brackets stay in the captions as words. Its "--" and "..." come mark by mark.
PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", ";"])

# Applied to the raw caption. Typographic quotes and dashes mean their ASCII forms; a fraction
# becomes a number of its own; a soft hyphen is invisible.
_CHARACTERS = str.maketrans(
    {
        "\u2018": "`", "\u201b": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''",
        "\u2012": " - ", "\u2013": " - ", "\u2014": " - ", "\u2015": " - ", "\u2026": " ",
        "\u00ad": "", "\u2039": "`", "\u203a": "'", "«": "``", "»": "''",
        "¼": " 1/4 ", "½": " 1/2 ", "¾": " 3/4 ", "⅓": " 1/3 ", "⅔": " 2/3 ",
    }
)  # fmt: skip

# How the treebank spells a token.
_SPELLINGS = {
    "&amp;": "&", "&lt;": "<", "&gt;": ">", "£": "#", "€": "$", "¢": "cents", '"': "''",
}  # fmt: skip
_BRACKETS = str.maketrans(
    {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
)

# Words that keep their full stop: titles, firms, calendar, geography, others.
_ABBREVIATIONS = """
    adm|asst|atty|brig|capt|cmdr|col|comdr|cpl|det|dr|drs|ens|esq|gen|gov|govs|hon|insp|jr|lieut|lt
    |maj|messrs|mlle|mme|mr|mrs|ms|msgr|pfc|ph|pres|prof|profs|pvt|rep|reps|rev|sen|sens|sfc|sgt
    |spc|sr|ste|supt
    |assn|assoc|bhd|bros|cie|co|corp|cos|dept|inc|intl|invt|ltd|mfg|natl|plc|ppte|ppty|pte|ptes|pty
    |ptys|univ
    |apr|aug|dec|feb|fri|jan|jul|jun|mar|mon|nov|oct|sep|sept|thu|thurs|tue|tues|wed
    |ala|ariz|ave|bldg|blvd|calif|colo|conn|ct|dak|fla|ft|ga|ind|kan|kans|ky|md|mich|minn|mo|mont
    |mt|neb|nev|okla|penn|rd|rt|sq|st|tenn|va|vt|wis|wisc|wyo
    |adj|adv|al|alex|cf|elec|est|etc|ext|jos|mtg|seq|sys|tel|vs|wm
"""
# State names that keep it only with a capital: "ill." and "miss." may end a sentence.
_STATES = "ark|az|del|ill|la|mass|miss|ore|pa|tex|wash"
# Words that keep it before a number.
_NUMBERED = "art|ca|fig|figs|no|nos|op|pp|prop"

_LETTER = r"[^\W\d_]"
_WORD = r"[^\W_]+(?:[-_\u2010\u2011][^\W_]+)*"
_CLITIC = r"'(?i:s|m|d|ll|re|ve)(?!\w)"

TOKEN = re.compile(
    rf"""
      https?://\S+
    | </?[A-Za-z!][^<>]*>                                   # <start>
    | (?i:&(?:amp|lt|gt);)
    | \w*(?:\.\w+)*@{_LETTER}\w*(?:\.\w+)*                  # @name, a@b.c
    | (?<!\#)\#{_LETTER}+                                    # #topic
    | [:;=]-?[()DP](?!\w)                                   # :-)
    | (?:US|C)\$
    # One word in writing, two in the treebank.
    | (?i:can(?=not)|gon(?=na)|wan(?=na)|got(?=ta)|lem(?=me)|gim(?=me))(?=..{{1,2}}(?![\w'-]))
    | '[Tt](?=(?i:is|was)(?!\w))                            # 't is
    | [Nn]['`][Tt](?!\w)
    | {_CLITIC}
    # Apostrophes that begin, hold or end a word.
    | '(?i:n'|(?:n|em|til|till|cause)(?!\w))
    | '\d\ds?(?![\w'])                                      # '90s
    | (?i:ma'am|hawai'i|e'er|ne'er|o'er|hallowe'en)(?!\w)
    | (?:[A-HJ-XZcdjlno]'(?!(?i:ll|re|ve)\b){_LETTER}{{2,}})(?:-\w+)*   # O'Brien, o'clock
    | (?i:y'(?=all)|ol'|[dlj]'(?!\w)|(?:dunk|someth)in')
    # Full stops, ampersands, slashes and marks inside words.
    | [A-Z]+(?:&[A-Z]+)+                                    # AT&T
    | {_LETTER}(?:\.{_LETTER})+\.(?:-\w+)+                  # U.S.-based
    | {_LETTER}(?:\.{_LETTER})*\.(?!{_LETTER})              # p.m.
    # The look-ahead spares most words a walk through the lists.
    | (?={_LETTER}+\.)(?:
        (?i:{_ABBREVIATIONS})\.(?!\w)
      | (?=[A-Z])(?i:{_STATES})\.(?!\w)
      | (?i:{_NUMBERED})\.(?=\s*\d)
      | {_LETTER}+\.(?=,)
      | (?i:ph\.d)\.
      )
    | {_LETTER}[^\W_]*(?:\.{_LETTER}[^\W_]*)+               # example.com
    | {_LETTER}+(?:[!?]{_LETTER}+)+
    | [^\W_]+(?:/[^\W_]+)+(?:-\w+)*                         # and/or, 24/7, 1/2-inch
    # Numbers with signs and separators; "5pm" is a word.
    | \d+-\d+/\d+                                           # 2-1/2
    | [-+]?\d*(?:[.,:]\d+)+(?:-{_WORD})?                    # 1,000 5:30 .5 2,000-foot
    | [-+]\d+(?!\w)
    | {_LETTER}+?(?=[Nn]['`][Tt](?!\w))                           # do n't
    | {_WORD}
    | [?!]+ | '' | `` | \*+ | _+ | \#+ | << | >>
    | \S
    """,
    re.VERBOSE,
)


def _is_known(token: str) -> bool:
    """Whether the original keeps the token: it drops emoji and unassigned or control characters."""
    return len(token) > 1 or (token < "\U00010000" and unicodedata.category(token)[0] != "C")


def ptb_tokenize(caption: str) -> list[str]:
    """Return the lower-case Penn Treebank tokens of a raw caption, punctuation removed.

    Example: ``"A dog's (big) ball isn't red!"`` gives
    ``["a", "dog", "'s", "-lrb-", "big", "-rrb-", "ball", "is", "n't", "red"]``.
    """
    tokens = filter(_is_known, TOKEN.findall(caption.translate(_CHARACTERS)))
    spelled = (_SPELLINGS.get(token, token).lower().translate(_BRACKETS) for token in tokens)
    return " ".join(token for token in spelled if token not in PUNCTUATION).split()
