"""Chance that is the same on every machine and in every version: numbers drawn from a hash of the seed."""

import hashlib
from collections.abc import Sequence

LARGEST_SEED = 2**63 - 1


def seed_of(name: str) -> int:
    """Return the seed that belongs to a name; it fits a signed column of 64 bits."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) & LARGEST_SEED


class Draws:
    """A row of numbers that follows from the seed and the purpose alone."""

    def __init__(self, seed: int, purpose: str) -> None:
        self._name = f"{seed}/{purpose}"
        self._count = 0

    def below(self, bound: int) -> int:
        """Return the next number from 0 up to but not including the bound.

        :raises ValueError: the bound is not above 0
        """
        if bound <= 0:
            raise ValueError(f"bound: {bound} is not allowed; a number above 0 is")
        self._count += 1
        digest = hashlib.sha256(f"{self._name}/{self._count}".encode()).digest()
        return int.from_bytes(digest) % bound

    def some_of(self, items: Sequence[int], count: int) -> list[int]:
        """Return that many of the items, each at most once; all of them when there are not more."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(items)))]
