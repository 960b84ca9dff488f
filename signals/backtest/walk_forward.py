"""Walk forward: learn on the past, decide what follows, step on, and judge only what was never learnt from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import polars as pl

from signals.backtest.windows import Plan, Window, windows
from signals.errors import BacktestInputError
from signals.progress import Progress, part_of, silent

SCALE = 1000
"""Parts that one window's progress is told in."""


class Decider(Protocol):
    """Something that was learnt: sessions in, scores out."""

    def __call__(self, sessions: Sequence[date]) -> pl.DataFrame:
        """Return at least `symbol, date, score` for these sessions, each row from what was known at its close."""
        ...


Fit = Callable[[Window, Progress], Decider]
"""Learns from `window.train`, may stop early by `window.valid`, and must not touch anything later."""
RunWindows = Callable[[list[Window], Fit, Progress], list[pl.DataFrame]]
"""Runs windows somewhere else, in any order, and returns what `decide_window` gives for each, in their order."""


@dataclass(frozen=True, slots=True)
class WalkForward:
    """What was decided in all test windows, in one frame sorted by date and symbol, and the windows it came from."""

    decisions: pl.DataFrame
    windows: list[Window]


def walk_forward(
    sessions: Sequence[date], plan: Plan, fit: Fit, *, progress: Progress = silent, run: RunWindows | None = None
) -> WalkForward:
    """Fit on each window and decide its test sessions. Windows do not depend on one another: `run` may scatter them.

    :raises BacktestInputError: too few sessions, or an answer for other sessions than were asked about
    :raises Cancelled: the caller's progress says so
    """
    cut = windows(sessions, plan)
    frames = (run or _here)(cut, fit, progress)
    progress(len(cut) * SCALE, len(cut) * SCALE, "all windows are decided")
    return WalkForward(pl.concat(frames).sort("date", "symbol"), cut)


def decide_window(window: Window, fit: Fit, progress: Progress = silent) -> pl.DataFrame:
    """Learn from one window and decide its test sessions.

    :raises BacktestInputError: the answer is about other sessions
    """
    progress(0, SCALE, f"window {window.number}: learning on {window.train[0]} to {window.train[-1]}")
    decided = fit(window, progress)(window.test)
    strange = set(decided["date"].unique()) - set(window.test)
    if strange:
        raise BacktestInputError("decisions.date", min(strange), f"sessions of the test window {window.number}")
    return decided


def _here(cut: list[Window], fit: Fit, progress: Progress) -> list[pl.DataFrame]:
    total = len(cut) * SCALE
    return [
        decide_window(window, fit, part_of(progress, start=at * SCALE, share=SCALE, total=total))
        for at, window in enumerate(cut)
    ]
