"""How long work tells where it is, and learns that nobody wants it any more. Pure: no database, no clock."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Told with what is done, the total (0 while it is not known) and what is being done, in words for people.

It may be told thousands of times a second: who listens decides what is written down.
"""


class Cancelled(Exception):
    """Somebody does not want the work any more; raised by the call of a `Progress`, to be let through."""


def silent(done: int, total: int, what: str) -> None:
    """Listen to nothing: for callers that nobody watches."""


def part_of(progress: Progress, *, start: int, share: int, total: int) -> Progress:
    """Return a progress for one part of a larger work: its 0 to 100% are `start` to `start + share` of `total`."""

    def tell(done: int, of: int, what: str) -> None:
        progress(start + (share * min(done, of) // of if of > 0 else 0), total, what)

    return tell
