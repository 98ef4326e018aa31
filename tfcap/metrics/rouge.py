"""ROUGE-L as the COCO caption evaluation defines it."""

from collections.abc import Sequence

BETA = 1.2  # how much more recall counts than precision, as in the COCO code


def rouge_l(references: Sequence[Sequence[str]], tokens: Sequence[str]) -> float:
    """Return the score of one caption, in points (0-100).

    Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.2
    (https://aclanthology.org/W04-1013). Precision is that of the best reference, and so is
    recall, which need not be the same reference.

    Args:
        references: the tokens of at least one reference.
        tokens: of the caption.
    """
    lengths = [longest_common_subsequence(reference, tokens) for reference in references]
    precision = max(lengths) / max(1, len(tokens))
    recall = max(
        length / max(1, len(reference))
        for length, reference in zip(lengths, references, strict=True)
    )
    if not precision or not recall:
        return 0.0
    return 100 * (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many words both have in the same order, whatever stands between them."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0  # the value up and to the left
        for at, theirs in enumerate(other, start=1):
            above = row[at]
            row[at] = before + 1 if word == theirs else max(above, row[at - 1])
            before = above
    return row[-1]
