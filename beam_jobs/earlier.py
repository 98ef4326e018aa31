"""What an earlier run left: shards that are whole need not be written again.

A run that was stopped leaves whole shards in the staging directory, each with a receipt: its
outcome. The receipt is written after the shard, and names its hash. A finished dataset has no
receipts; where its rejected pictures are tried again, its records are counted instead.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from beam_jobs.files import open_file, read_if_present
from beam_jobs.job import BuildJob
from beam_jobs.outcomes import Outcome, Tally
from beam_jobs.output import read_manifest
from beam_jobs.staging import file_sha256, keep_receipt, read_receipt
from records.dead_letters import DeadLetter, parse_dead_letters
from records.example import PictureRecord, decode_example
from records.manifest import DEAD_LETTERS, ShardInfo
from records.shards import ShardName
from records.tfrecord import scan_file


class Earlier(NamedTuple):
    """A whole shard of an earlier run: where it is, and its outcome."""

    path: str
    outcome: Outcome


class EarlierShards:
    """Finds the shards of earlier runs of a job.

    Attributes:
        job: the run.
    """

    def __init__(self, job: BuildJob):
        self.job = job
        self._published: dict[str, ShardInfo] = {}
        self._letters: dict[str, list[DeadLetter]] = {}
        if job.retry_failed:
            self._read_published()

    def find(self, file: str, keys: Iterable[str]) -> Earlier | None:
        """Return the earlier build of a shard; None where there is none, or a damaged one.

        Args:
            file: name of the shard.
            keys: of the pictures that belong into it.
        """
        if receipt := self._receipt(file):
            (info,) = receipt.shards
            for place in (self.job.staged_path, self.job.output_path):
                if _is_whole(info, place):
                    return Earlier(place(file), receipt)
        info = self._published.get(file)
        if info is None or not _is_whole(info, self.job.output_path):
            return None
        path = self.job.output_path(file)
        letters = [letter for key in sorted(keys) for letter in self._letters.get(key, ())]
        return Earlier(path, _count(path, info, letters))

    def keep(self, file: str, outcome: Outcome) -> None:
        """Write the receipt of a whole shard."""
        keep_receipt(self.job, file, outcome.to_dict())

    def _receipt(self, file: str) -> Outcome | None:
        receipt = read_receipt(self.job, file)
        try:
            return receipt and Outcome.from_dict(receipt)
        except (ValueError, KeyError, TypeError):  # the disk lost a part of it
            return None

    def _read_published(self) -> None:
        manifest = read_manifest(self.job.output)
        if manifest is None:  # taken away by a run that was stopped; all receipts are there
            return
        for info in manifest.split_infos.values():
            self._published |= {shard.file: shard for shard in info.shards}
        letters = read_if_present(self.job.output_path(DEAD_LETTERS)) or b""
        for letter in parse_dead_letters(letters.decode("utf-8", "replace"), DEAD_LETTERS):
            self._letters.setdefault(letter.key, []).append(letter)


def stored_records(path: str) -> Iterator[PictureRecord]:
    """Read the records of a shard, in their order; raises CorruptRecord at the first damage."""
    with open_file(path) as file:
        for frame in scan_file(file, path):
            yield decode_example(frame.payload)


def _count(path: str, info: ShardInfo, letters: list[DeadLetter]) -> Outcome:
    tally = Tally()
    for record in stored_records(path):
        tally.add(record)
    return tally.outcome(info, letters, ShardName.parse(info.file).split == "train")


def _is_whole(info: ShardInfo, place: Callable[[str], str]) -> bool:
    """Tell whether a shard and its index lie at a place, byte for byte."""
    return (
        file_sha256(place(info.file)) == info.sha256
        and file_sha256(place(info.index_file)) == info.index_sha256
    )
