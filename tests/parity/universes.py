"""Bars to compare on: the built-in sample, and invented ones with everything that makes windows differ."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl

from marketdata.providers.sample import SampleProvider

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
FIRST_DAY = date(2010, 1, 4)


def sample() -> pl.DataFrame:
    """Return the sample with dividends and splits in its prices: prices × factor, volume ÷ factor."""
    bars = SampleProvider().bars()
    factor = pl.col("adj_close") / pl.col("close")
    adjusted = [(pl.col(name) * factor).alias(name) for name in PRICES]
    return bars.select("symbol", "date", *adjusted, pl.col("volume") / factor)


def walk(symbol: str, rows: int, seed: int, *, price: float = 100.0, daily: float = 0.02) -> pl.DataFrame:
    """Return a random walk with candles around it and volumes that vary by the day."""
    chance = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(chance.normal(0.0, daily, rows)))
    opened = close * np.exp(chance.normal(0.0, daily / 3, rows))
    high = np.maximum(opened, close) * np.exp(np.abs(chance.normal(0.0, daily / 3, rows)))
    low = np.minimum(opened, close) * np.exp(-np.abs(chance.normal(0.0, daily / 3, rows)))
    volume = np.round(np.exp(chance.normal(13.0, 0.6, rows)))
    days = [FIRST_DAY + timedelta(days=day) for day in range(rows)]
    return pl.DataFrame(
        {"symbol": symbol, "date": days, "open": opened, "high": high, "low": low, "close": close, "volume": volume}
    )


def gaps(symbol: str, seed: int) -> pl.DataFrame:
    """Days are missing, one by one and a month at once: windows are of the rows that are there."""
    bars = walk(symbol, 320, seed)
    there = np.random.default_rng(seed + 1).random(320) > 0.1
    there[120:150] = False
    return bars.filter(pl.Series(there))


def missing_values(symbol: str, seed: int) -> pl.DataFrame:
    """Rows without any value, longer than a window too, and single values that are missing."""
    bars, chance = walk(symbol, 420, seed), np.random.default_rng(seed + 1)
    empty = chance.random(420) < 0.08
    empty[0], empty[150:225], empty[400:] = True, True, True
    for name in VALUES:
        gone = empty | (chance.random(420) < 0.03)
        bars = bars.with_columns(pl.when(pl.Series(gone)).then(float("nan")).otherwise(pl.col(name)).alias(name))
    return bars


def without_trades(symbol: str, seed: int) -> pl.DataFrame:
    """Days and whole months without volume."""
    volume = walk(symbol, 320, seed)["volume"].to_numpy().copy()
    volume[np.random.default_rng(seed + 1).random(320) < 0.15] = 0.0
    volume[140:230] = 0.0
    return walk(symbol, 320, seed).with_columns(volume=pl.Series(volume))


def constant(symbol: str, seed: int) -> pl.DataFrame:
    """Prices that stand still for a week and for a quarter, flat candles, the same volume every day."""
    bars = walk(symbol, 320, seed)
    place = np.arange(320)
    place[60:67], place[100:190] = 60, 100
    still = bars.select(pl.col(VALUES).gather(place))
    flat = still.with_columns(open="close", high="close", low="close")
    return pl.concat([bars.select("symbol", "date"), flat], how="horizontal")


def ties(symbol: str, seed: int) -> pl.DataFrame:
    """Prices in whole dollars and volumes in round lots: equal highs, lows, closes and volumes in every window."""
    bars = walk(symbol, 320, seed, price=20.0, daily=0.03)
    return bars.with_columns(pl.col(PRICES).round(0), volume=(pl.col("volume") / 1e5).round(0) * 1e5)


def splits(symbol: str, seed: int) -> pl.DataFrame:
    """Prices that leap by a factor of twenty and back."""
    factor = pl.Series(np.where((np.arange(320) > 90) & (np.arange(320) < 200), 20.0, 1.0))
    return walk(symbol, 320, seed).with_columns(pl.col(PRICES) * factor, volume=pl.col("volume") / factor)


def short(symbol: str, seed: int, rows: int) -> pl.DataFrame:
    """Return less than a window of 60, or just one."""
    return walk(symbol, rows, seed)


INVENTED: Mapping[str, Callable[[str, int], pl.DataFrame]] = {
    "gaps": gaps,
    "missing values": missing_values,
    "no volume": without_trades,
    "constant": constant,
    "ties": ties,
    "splits": splits,
    "pennies": lambda symbol, seed: walk(symbol, 320, seed, price=0.02, daily=0.05),
    "dear": lambda symbol, seed: walk(symbol, 320, seed, price=400_000.0, daily=0.01),
    "quiet": lambda symbol, seed: walk(symbol, 320, seed, price=50.0, daily=0.0005),
}
LENGTHS = (1, 2, 3, 5, 6, 30, 59, 60, 61, 62)


def invented(seeds: int = 3) -> dict[str, pl.DataFrame]:
    """Return each invented universe: a few symbols of one kind."""
    found = {
        name: pl.concat([make(f"{name[0].upper()}{seed}", 100 * seed + place) for seed in range(seeds)])
        for place, (name, make) in enumerate(INVENTED.items())
    }
    found["short"] = pl.concat([short(f"L{rows:02d}", rows, rows) for rows in LENGTHS])
    return found
