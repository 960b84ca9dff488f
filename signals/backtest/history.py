"""Bars as they were known on each day: a window never holds a later row, nor a factor of a later corporate action."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from marketdata import calendar
from marketdata.adjustment import adjust
from signals.backtest.panel import FloatArray, Panel, panel_of
from signals.backtest.rules import Liquidity, liquidity_of
from signals.errors import BacktestInputError
from signals.features import alpha158
from signals.services.scoring import rows_hash

PRICES = ("open", "high", "low", "close")
WARM_UP = 40
"""Sessions before a panel that its first averages of volume and volatility may look back on."""
COLUMNS = ("symbol", "date", *PRICES, "volume")


class BarHistory:
    """Daily bars of some symbols with their splits and dividends, for many looks at many days.

    A price adjusted with all actions differs from one adjusted with those up to a day by one factor a symbol, that of
    the later actions. So everything is adjusted once, and a window is divided by what its newest row was multiplied by:
    the same numbers as adjusting anew for each day, without doing it.
    """

    def __init__(self, raw: pl.DataFrame, actions: pl.DataFrame) -> None:
        """Take raw bars (`symbol, date, open, high, low, close, volume`) and actions as the lake gives them."""
        marked = raw.select(COLUMNS).with_columns(
            turnover=pl.col("close") * pl.col("volume"), raw_close=pl.col("close"), raw_volume=pl.col("volume")
        )
        factors = adjust(marked.with_columns(volume=pl.lit(1.0)), actions, mode="total_return", as_of=None)
        self.bars = (
            factors.with_columns(share_factor="volume", price_factor=pl.col("close") / pl.col("raw_close"))
            .with_columns(volume=pl.col("raw_volume") * pl.col("share_factor"))
            .drop("raw_close", "raw_volume")
            .sort("date", "symbol")
        )
        self.symbols: list[str] = self.bars["symbol"].unique().sort().to_list()
        self._days = self.bars["date"].to_physical().to_numpy()

    def window(self, as_of: date, lookback: int) -> pl.DataFrame:
        """Return the bars of the last `lookback` sessions up to `as_of`, adjusted as known then, by symbol and date."""
        first = calendar.latest_sessions(as_of, lookback)[0]
        start, end = np.searchsorted(self._days, [_number(first), _number(as_of) + 1])
        rows = self.bars[int(start) : int(end)]
        price = pl.col("price_factor").last().over("symbol")
        shares = pl.col("share_factor").last().over("symbol")
        return (
            rows.with_columns(*[pl.col(name) / price for name in PRICES], volume=pl.col("volume") / shares)
            .select(COLUMNS)
            .sort("symbol", "date")
        )

    def until(self, last: date) -> pl.DataFrame:
        """Return all bars up to a day, adjusted, by symbol and date."""
        return self.bars.filter(pl.col("date") <= last).select(COLUMNS).sort("symbol", "date")

    @cached_property
    def features(self) -> pl.DataFrame:
        """Return `symbol, date` and the 158 features of every bar, by date and symbol; computed when first asked
        for."""
        return alpha158(self.until(self.bars["date"][-1])).sort("date", "symbol")

    def features_of(self, session: date) -> pl.DataFrame:
        """Return the features of one session, a row a symbol that has a bar."""
        start, end = np.searchsorted(self._days, [_number(session), _number(session) + 1])
        return self.features[int(start) : int(end)]

    @property
    def digest(self) -> str:
        """Return the SHA-256 over every adjusted bar."""
        return rows_hash(self.bars, (*PRICES, "volume", "turnover"))

    def panel(self, sessions: Sequence[date]) -> Panel:
        """Return adjusted closes of these sessions; a symbol without a bar has no price there.

        :raises BacktestInputError: no symbol has a bar, or a price is none
        """
        return panel_of(self._wide("close", sessions))

    def matrix(self, column: str, panel: Panel) -> FloatArray:
        """Return another column in the shape of a panel."""
        return self._matrix(column, panel)

    def _matrix(self, column: str, panel: Panel) -> FloatArray:
        wide = self._wide(column, panel.dates)
        return panel.aligned(wide.select("date", *[name for name in panel.symbols if name in wide.columns]), column)

    def liquidity(self, panel: Panel) -> Liquidity:
        """Return average volume and volatility, as known the evening before each session, from what came before it
        too."""
        before = calendar.latest_sessions(panel.dates[0], WARM_UP + 1)[:-1]
        wide = Panel([*before, *panel.dates], panel.symbols, np.empty((0, 0)))
        closes, turnover = (self._matrix(column, wide) for column in ("close", "turnover"))
        known = liquidity_of(closes, turnover)
        return Liquidity(known.volume[len(before) :], known.volatility[len(before) :])

    def _wide(self, column: str, sessions: Sequence[date]) -> pl.DataFrame:
        days = pl.DataFrame({"date": sessions}, schema={"date": pl.Date})
        rows = self.bars.filter(pl.col("date").is_in(days["date"].implode())).select("date", "symbol", column)
        if rows.is_empty():
            span = f"{sessions[0]} to {sessions[-1]}" if sessions else "no session"
            raise BacktestInputError("bars", f"none from {span}", "a range in which bars are stored")
        wide = rows.pivot("symbol", index="date", values=column)
        return days.join(wide, on="date", how="left").sort("date")


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days
