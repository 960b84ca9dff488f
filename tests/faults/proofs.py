"""How often a proof is tried, and how it says what it has shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from marketdata.clock import wall_now
from tests.faults.storm import number_from

MOST = 100_000
RecordProperty = Callable[[str, object], None]
BUSY_MACHINE = 5
"""How many times its bound a time may take where every change is looked at: a busy machine is no failure of the code,
so only what hangs is one. `make soak` judges by the bound itself."""


def trials(few: int, *, full: int) -> int:
    """Return how often to try: a few times where every change is looked at, `make soak N=…` up to the full number."""
    return min(number_from("SOAK_N", few, most=MOST), full) if os.environ.get("SOAK_N") else few


@dataclass
class Proof:
    """What was tried so far; `measured` holds figures by name, seconds, `over` how many were over their bound."""

    name: str
    n: int = 0
    failures: list[str] = field(default_factory=list)
    measured: dict[str, list[float]] = field(default_factory=dict)
    over: dict[str, int] = field(default_factory=dict)
    more: str = ""

    def took(self, what: str, seconds: float, *, most: float) -> None:
        """Note a time, a failure where it is longer than allowed; the line at the end says what was over it."""
        self.measured.setdefault(what, []).append(seconds)
        if seconds > most:
            self.over[what] = self.over.get(what, 0) + 1
        allowed = most if os.environ.get("SOAK_N") else BUSY_MACHINE * most
        self.require(seconds <= allowed, f"{what}: {seconds:.3f} s, {most:g} s are allowed")

    def require(self, is_so: bool, otherwise: str) -> None:
        """Note a failure of the trial under way."""
        if not is_so:
            self.failures.append(f"trial {self.n}: {otherwise}")

    def figures(self) -> str:
        """Say the median, the 99th percentile and the longest of each time."""
        told = [self.more] if self.more else []
        for what, seconds in self.measured.items():
            ordered = sorted(seconds)
            p99 = ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]
            late = f", {self.over[what]} over the bound" if what in self.over else ""
            told.append(f"{what} median {ordered[len(ordered) // 2]:.3f} p99 {p99:.3f} max {ordered[-1]:.3f} s{late}")
        return "; ".join(told)


@contextmanager
def proving(name: str, record_property: RecordProperty) -> Iterator[Proof]:
    """Record the proof for the summary at the end, also where it fails; nothing that was noted may stay."""
    began, proof = wall_now(), Proof(str(name))  # a word of an enumeration does not cross to another process
    is_through = False
    try:
        yield proof
        is_through = True
    finally:
        failures = len(proof.failures) or int(not is_through)
        seconds = (wall_now() - began).total_seconds()
        told = {"name": proof.name, "n": proof.n, "failures": failures, "seconds": seconds, "more": proof.figures()}
        record_property("proof", told)
    assert not proof.failures, "\n".join(proof.failures[:20])
