"""What becomes of a job whose pictures are bad: how many it puts up with, and what it says."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import NoReturn

from beam_jobs.files import delete_directory, write_whole
from beam_jobs.staging import StagedJob, fail_job, write_staged
from records.dead_letters import DeadLetter, count_reasons, dead_letter_lines
from records.manifest import DEAD_LETTERS


@dataclasses.dataclass(frozen=True)
class Budget:
    """How many pictures may be rejected.

    Attributes:
        limit: a number of pictures, or a share of all of them.
        is_share: whether it is a share, between 0 and 1.
    """

    limit: float
    is_share: bool

    def __post_init__(self):
        if not 0 <= self.limit <= (1 if self.is_share else float("inf")):
            raise ValueError(f"must be a percentage from 0% to 100% or a count, got {self.limit}")

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read "1%" or "25"; raises ValueError for anything else."""
        if text.endswith("%"):
            return cls(float(text[:-1]) / 100, is_share=True)
        return cls(int(text), is_share=False)

    def allows(self, rejected: int, pictures: int) -> bool:
        """Tell whether so many of the pictures may be rejected."""
        return rejected <= (self.limit * pictures if self.is_share else self.limit)

    def __str__(self):
        return f"{100 * self.limit:g}%" if self.is_share else str(self.limit)


def stage_dead_letters(
    job: StagedJob,
    letters: Collection[DeadLetter],
    records: int,
    max_bad: Budget | None,
    remedy: str,
) -> None:
    """Write the dead letters of a job into its staging directory.

    Args:
        job: the run.
        letters: all of them.
        records: pictures that are good.
        max_bad: rejected pictures that are put up with; None for any number.
        remedy: for those who find that there are more.

    Raises:
        JobFailed: there are more, or no picture is good.
    """
    if not records:
        _fail_without_pictures(job, letters)
    write_staged(job, DEAD_LETTERS, dead_letter_lines(letters))
    rejected = sum(letter.concerns_picture for letter in letters)
    pictures = records + rejected
    if max_bad is not None and not max_bad.allows(rejected, pictures):
        fail_job(
            job,
            f"{rejected} of {pictures} pictures ({100 * rejected / pictures:.2f}%) were rejected, "
            f"more than --max-bad {max_bad} ({in_words(count_reasons(letters))}): see "
            f"{job.staged_path(DEAD_LETTERS)}, {remedy}, or raise --max-bad; the good ones are "
            "kept",
        )


def _fail_without_pictures(job: StagedJob, letters: Collection[DeadLetter]) -> NoReturn:
    """Raise JobFailed, and leave the dead letters alone."""
    path = job.output_path(DEAD_LETTERS)
    text = dead_letter_lines(letters)
    write_whole(path, job.attempts, lambda output: output.write(text.encode()))
    # Nothing of this run is worth keeping: the pictures were looked for in the wrong place.
    delete_directory(job.staging)
    counts = in_words(count_reasons(letters))
    fail_job(job, f"no picture left ({counts}): check --images {job.images} and {path}")


def in_words(counts: Mapping[str, int]) -> str:
    """Return "3 missing, 1 truncated"; "" for no counts."""
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
