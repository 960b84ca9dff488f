"""Invented universes for tests of backtests."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from marketdata import calendar

START = date(2010, 1, 4)
BAR_START, BAR_END = START, date(2011, 6, 30)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")


def days_of(count: int) -> list[date]:
    """Return `count` dates in a row."""
    return [START + timedelta(days=number) for number in range(count)]


def wide(values: np.ndarray, symbols: Sequence[str] | None = None) -> pl.DataFrame:
    """Return a wide frame of a matrix `(n_days, n_symbols)`."""
    names = symbols or [f"S{number:03d}" for number in range(values.shape[1])]
    return pl.DataFrame({"date": days_of(len(values)), **{name: values[:, at] for at, name in enumerate(names)}})


def walks(days: int, names: int, seed: int = 7) -> np.ndarray:
    """Return random walks of prices."""
    steps = np.random.default_rng(seed).normal(0.0003, 0.02, (days, names))
    return 50.0 * np.exp(np.cumsum(steps, axis=0))


def noise(days: int, names: int, seed: int = 8) -> np.ndarray:
    """Return scores without ties."""
    return np.random.default_rng(seed).normal(size=(days, names))


def oracle(
    prices: np.ndarray,
    scores: np.ndarray,
    *,
    top: int,
    bottom: int,
    gross: float = 0.5,
    cost_bps: float = 10.0,
    capital: float = 1e7,
) -> tuple[list[float], list[tuple[int, int, float, float, float]]]:
    """Return equity and orders of the plainest loop that says what is meant; one name at a time, nothing clever."""
    days, names = prices.shape
    cash, shares, last = capital, [0.0] * names, [0.0] * names
    path, orders = [], []
    for day in range(days):
        for name in range(names):
            if not np.isnan(prices[day, name]):
                last[name] = prices[day, name]
        equity = cash + sum(held * price for held, price in zip(shares, last, strict=True))
        known = [] if day == 0 else [name for name in range(names) if not np.isnan(scores[day - 1, name])]
        if known:
            ranked = sorted(known, key=lambda name, row=scores[day - 1]: (-row[name], name))
            longs = ranked[:top]
            rest = sorted(
                (name for name in known if name not in longs), key=lambda name, row=scores[day - 1]: (row[name], name)
            )
            shorts = rest[:bottom]
            for name in range(names):
                if np.isnan(prices[day, name]):
                    continue
                weight = gross / top if name in longs else -gross / bottom if name in shorts else 0.0
                trade = weight * equity / last[name] - shares[name]
                if trade:
                    cost = abs(trade * last[name]) * cost_bps / 10_000
                    cash -= trade * last[name] + cost
                    shares[name] += trade
                    orders.append((day, name, trade, last[name], cost))
        path.append(cash + sum(held * price for held, price in zip(shares, last, strict=True)))
    return path, orders


def raw_bars(seed: int = 1) -> pl.DataFrame:
    """Return eighteen months of raw bars of four symbols on exchange sessions."""
    generator, sessions = np.random.default_rng(seed), calendar.sessions_between(BAR_START, BAR_END)
    parts = []
    for symbol in SYMBOLS:
        close = 60 * np.exp(np.cumsum(generator.normal(0.0005, 0.015, len(sessions))))
        open_ = close * generator.uniform(0.99, 1.01, len(sessions))
        columns = {
            "symbol": symbol,
            "date": sessions,
            "open": open_,
            "high": np.maximum(open_, close),
            "low": np.minimum(open_, close),
            "close": close,
            "volume": generator.uniform(1e5, 1e6, len(sessions)).round(),
        }
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)
