"""Replayed sessions a second, two strategies over the sample, with the production order path."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from statistics import median
from time import perf_counter

from marketdata import calendar
from marketdata.services.sample import import_sample
from risk.services import kill_switch
from tests.bench import seeding
from tests.bench.figures import Figures, percentile
from tests.bench.plan import Effort
from trading.models import ReplayRun
from trading.services import replay
from trading.states import Stage
from trading.types import ReplayParameters

Part = Callable[[replay.Replay, date], None]
FIRST = date(2012, 1, 3)
STRATEGIES = ("mean_reversion", "momentum")
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def measure(effort: Effort) -> Figures:
    """Trade from January 2012 on; every day is timed, and every stage of a day."""
    import_sample(wall_now=seeding.wall_now())
    kill_switch.install(operator="bench", now=seeding.wall_now())
    sessions = calendar.sessions_between(FIRST, date(2013, 3, 1))[: effort.sessions]
    parameters = ReplayParameters(
        start=FIRST, end=sessions[-1], strategies=STRATEGIES, symbols=SYMBOLS, capital=Decimal(100_000),
        max_position_size=Decimal(1_000), dry_run=False,
    )  # fmt: skip
    days: list[float] = []
    with StageClock() as stages:
        started = perf_counter()
        row = replay.replay_range(
            parameters=parameters,
            wall_clock=seeding.wall_now,
            fresh=True,
            on_day=lambda done: days.append(done.nanoseconds / 1e6),
        )
        seconds = perf_counter() - started
    return _report(row, days, stages, seconds)


class StageClock:
    """Times the parts of a day while the block runs."""

    def __enter__(self) -> dict[str, list[float]]:
        self._parts = dict(replay.PARTS)
        taken: dict[str, list[float]] = defaultdict(list)
        for stage, part in self._parts.items():
            replay.PARTS[stage] = self._timed(part, taken[stage.value])
        return taken

    def __exit__(self, *_error: object) -> None:
        replay.PARTS.update(self._parts)

    @staticmethod
    def _timed(part: Part, taken: list[float]) -> Part:
        def timed(run: replay.Replay, day: date) -> None:
            started = perf_counter()
            part(run, day)
            taken.append((perf_counter() - started) * 1000)

        return timed


def _report(row: ReplayRun, days: list[float], stages: dict[str, list[float]], seconds: float) -> Figures:
    ordered = sorted(days)
    orders = row.account.orders.count()
    return {
        "sessions": len(days),
        "strategies": len(STRATEGIES),
        "orders": orders,
        "fills": row.account.fills.count(),
        "seconds": round(seconds, 2),
        "days_per_second": round(len(days) / seconds, 2),
        "day_p50_ms": round(median(days), 1),
        "day_p99_ms": round(percentile(ordered, 0.99), 1),
        "first_day_ms": round(days[0], 1),
        "stages_p50_ms": {stage.value: round(median(stages[stage.value]), 1) for stage in Stage if stages[stage.value]},
    }
