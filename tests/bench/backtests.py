"""The long/short backtest: 300 names, 2,500 sessions, top and bottom 30, 10 bps; beside a numpy floor and vectorbt.

All three get the same prices and scores in the same run. The floor is the plainest loop over days that keeps no orders;
vectorbt runs in an environment of its own (`make parity` makes `.venv-parity`; PARITY_PYTHON names another) and is left
out, with a word, where there is none.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import polars as pl

from signals.backtest import long_short
from signals.backtest.ranking import long_short_weights
from tests.bench.figures import Figures, verdict
from tests.bench.plan import Effort

REPOSITORY = Path(__file__).resolve().parent.parent.parent
NAMES, DAYS, SLOTS, COST_BPS, CAPITAL = 300, 2_500, 30, 10.0, 1e7
GROWTH_NAMES = (150, 300, 600, 1_200, 2_400)
GROWTH_DAYS = (1_250, 2_500, 5_000, 10_000)
PATIENCE = 300


def measure(effort: Effort) -> Figures:
    """Measure speed, agreement and growth."""
    repeats = 7 if effort.repeats > 1 else 3
    prices, scores = universe(DAYS, NAMES)
    frames = wide(prices), wide(scores)
    ours = _timed(lambda: long_short(*frames, top=SLOTS, bottom=SLOTS, cost_bps=COST_BPS, capital=CAPITAL), repeats)
    result = long_short(*frames, top=SLOTS, bottom=SLOTS, cost_bps=COST_BPS, capital=CAPITAL)
    floor = _timed(lambda: plain_loop(prices, scores), repeats)
    apart = abs(result.final_equity / plain_loop(prices, scores) - 1.0)
    peer = _vectorbt(prices, scores, repeats)
    by_names, by_days = _growth(repeats)
    warm = median(peer["warm"]) if "warm" in peer else None
    return {
        "ours": {**_spread(ours), "orders": result.orders.height, "final equity": round(result.final_equity, 2)},
        "numpy floor": _spread(floor),
        "vectorbt": _told(peer),
        "ratio to the floor": round(median(ours) / median(floor), 2),
        "growth by names": by_names,
        "growth by days": by_days,
        "targets": {
            "time over vectorbt's, warm": verdict(None if warm is None else round(median(ours) / warm, 3), most=1.0),
            "final equity apart from the floor's": verdict(apart, most=1e-9),
            "exponent of growth by names": verdict(by_names["exponent of the upper half"], most=1.15),
            "exponent of growth by days": verdict(by_days["exponent"], most=1.15),
        },
    }


def universe(days: int, names: int) -> tuple[np.ndarray, np.ndarray]:
    """Return prices and scores without gaps, seeded; scores move slowly, so that not all of the book turns each day."""
    random = np.random.default_rng(20_130_301)
    prices = 50.0 * np.exp(np.cumsum(random.normal(0.0002, 0.015, (days, names)), axis=0))
    scores = np.cumsum(random.normal(size=(days, names)), axis=0) * 0.2 + random.normal(size=(days, names))
    return prices, scores


def wide(values: np.ndarray) -> pl.DataFrame:
    """Return a wide frame of a matrix."""
    dates = [date(2000, 1, 3) + timedelta(days=number) for number in range(len(values))]
    return pl.DataFrame({"date": dates, **{f"S{at:04d}": values[:, at] for at in range(values.shape[1])}})


def plain_loop(prices: np.ndarray, scores: np.ndarray) -> float:
    """Return the final equity of the plainest loop over days."""
    cash, shares = CAPITAL, np.zeros(prices.shape[1])
    equity = cash
    for day in range(len(prices)):
        price = prices[day]
        if day:
            order = np.argsort(scores[day - 1])
            weights = np.zeros(len(price))
            weights[order[-SLOTS:]], weights[order[:SLOTS]] = 0.5 / SLOTS, -0.5 / SLOTS
            traded = weights * (cash + shares @ price) / price - shares
            cash -= traded @ price + np.abs(traded * price).sum() * COST_BPS / 1e4
            shares = shares + traded
        equity = cash + shares @ price
    return float(equity)


def _growth(repeats: int) -> tuple[Figures, Figures]:
    """Return seconds of processor time by size, and the exponents of time ~ size^x: least squares over logarithms.

    Processor time, because an exponent over minutes of wall time would tell what else ran on the machine.
    """
    widest, longest = universe(DAYS, GROWTH_NAMES[-1]), universe(GROWTH_DAYS[-1], NAMES)
    names = {count: _best(widest[0][:, :count], widest[1][:, :count], repeats) for count in GROWTH_NAMES}
    days = {count: _best(longest[0][:count], longest[1][:count], repeats) for count in GROWTH_DAYS}
    upper = {count: names[count] for count in GROWTH_NAMES[len(GROWTH_NAMES) // 2 :]}
    by_names: Figures = {f"{count} names, s": round(seconds, 3) for count, seconds in names.items()}
    by_days: Figures = {f"{count} days, s": round(seconds, 3) for count, seconds in days.items()}
    by_names |= {"exponent": _exponent(names), "exponent of the upper half": _exponent(upper)}
    return by_names, by_days | {"exponent": _exponent(days)}


def _best(prices: np.ndarray, scores: np.ndarray, repeats: int) -> float:
    frames = wide(prices), wide(scores)
    return min(_timed(lambda: long_short(*frames, top=SLOTS, bottom=SLOTS), min(repeats, 3), clock=process_time))


def _exponent(seconds: dict[int, float]) -> float:
    sizes = [math.log(size) for size in seconds]
    times = [math.log(value) for value in seconds.values()]
    return round(float(np.polyfit(sizes, times, 1)[0]), 2)


def _timed(work: Any, repeats: int, *, clock: Callable[[], float] = perf_counter) -> list[float]:
    work()
    found = []
    for _ in range(repeats):
        started = clock()
        work()
        found.append(clock() - started)
    return found


def _vectorbt(prices: np.ndarray, scores: np.ndarray, repeats: int) -> dict[str, Any]:
    """Run the peer as a child process on the same numbers."""
    python = Path(os.environ.get("PARITY_PYTHON", REPOSITORY / ".venv-parity" / "bin" / "python"))
    if not python.exists():
        return {"left out": f"no {python}: make parity makes it, PARITY_PYTHON names another"}
    weights = np.full_like(scores, np.nan)
    weights[1:] = long_short_weights(scores, top=SLOTS, bottom=SLOTS, gross=0.5)[:-1]
    script = Path(__file__).with_name("vectorbt_peer.py")
    with tempfile.TemporaryDirectory() as place:
        np.save(Path(place) / "prices.npy", prices)
        np.save(Path(place) / "weights.npy", weights)
        command = [str(python), "-W", "ignore", str(script), place, str(repeats), str(COST_BPS / 1e4)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return {"left out": f"it failed: {(done.stderr.strip().splitlines() or ['no word'])[-1][:200]}"}
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _told(peer: dict[str, Any]) -> Figures:
    if "warm" not in peer:
        return peer
    told = {"version": peer["version"], "first, with compiling, s": round(peer["first"], 2)}
    return told | _spread(peer["warm"]) | {"orders": peer["orders"], "final equity": round(peer["final"], 2)}


def _spread(seconds: list[float]) -> Figures:
    return {"s": round(median(seconds), 4), "s_range": [round(min(seconds), 4), round(max(seconds), 4)]}
