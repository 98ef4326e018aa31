"""Asking again, when the server says that it cannot answer now."""

import dataclasses
import random
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class RetrySpec:
    """How often and when a request that was answered by 429 or 503 is sent again.

    Attributes:
        attempts: the first one included.
        first_pause: seconds before the second attempt; doubled for each further one.
        longest_pause: seconds, at most.
    """

    attempts: int = 5
    first_pause: float = 0.1
    longest_pause: float = 5.0

    def __post_init__(self):
        if self.attempts < 1 or not 0 <= self.first_pause <= self.longest_pause:
            raise ValueError(f"attempts and pauses make no sense: {self}")

    def pauses(self) -> Iterator[float]:
        """Yield the seconds before each further attempt, half of them drawn at random, so that
        clients that were refused together do not come back together."""
        for attempt in range(self.attempts - 1):
            pause = min(self.first_pause * 2**attempt, self.longest_pause)
            yield pause * random.uniform(0.5, 1)

    def at_least(self, asked: float, pause: float) -> float:
        """Return the seconds to wait where the server asks for some: no longer than the longest
        pause, whatever it says."""
        return max(pause, min(asked, self.longest_pause))
