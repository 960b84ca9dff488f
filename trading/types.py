"""Values that the services of the trading day pass around."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from time import monotonic_ns
from typing import Any, Self

from trading.targets import SizingRules

CASH_BUFFER = Decimal("0.02")
"""Room for the difference between the price a target was sized with and the price it fills at."""
MIN_TRADE_SHARE = Decimal("0.01")
"""Trades below this share of the strategy's capital are not worth their cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """Universe and money of one run, stored with it so that a resumed run decides the same.

    `capital` in account currency, `max_position_size` in shares, `models` the version of each model the run scores
    with, by the strategy it belongs to: whatever is activated meanwhile, the run ends with the model it began with.
    """

    symbols: tuple[str, ...]
    capital: Decimal
    max_position_size: Decimal
    cash_buffer: Decimal = CASH_BUFFER
    min_trade_share: Decimal = MIN_TRADE_SHARE
    models: Mapping[str, int] = field(default_factory=dict)

    def rules(self, *, profit: Decimal) -> SizingRules:
        """Return the rules with the strategy's profit so far added to its capital (account currency)."""
        capital = self.capital + profit
        return SizingRules(
            capital=capital,
            max_position_size=self.max_position_size,
            min_trade_notional=max(capital, Decimal(0)) * self.min_trade_share,
            cash_buffer=self.cash_buffer,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the form that is stored: decimals as text."""
        return {
            "symbols": list(self.symbols),
            "capital": f"{self.capital:f}",
            "max_position_size": f"{self.max_position_size:f}",
            "cash_buffer": f"{self.cash_buffer:f}",
            "min_trade_share": f"{self.min_trade_share:f}",
            "models": dict(self.models),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Read the stored form."""
        numbers = {name: Decimal(value) for name, value in stored.items() if name not in ("symbols", "models")}
        return cls(symbols=tuple(stored["symbols"]), models=stored.get("models", {}), **numbers)


@dataclass(frozen=True, slots=True)
class ModelPin:
    """A version of a model that a replay is held to; the digest of its file says what it is, in any database."""

    version_id: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayParameters:
    """What a replay is asked to do; `capital` in account currency for all strategies, `max_position_size` in shares.

    `models` are the versions it scores with, by strategy: never what is active on the desk.
    """

    start: date
    end: date
    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    capital: Decimal
    max_position_size: Decimal
    dry_run: bool = False
    models: Mapping[str, ModelPin] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the form that is stored and hashed."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "strategies": list(self.strategies),
            "symbols": list(self.symbols),
            "capital": f"{self.capital.normalize():f}",
            "max_position_size": f"{self.max_position_size.normalize():f}",
            "dry_run": self.dry_run,
            "models": {name: pin.sha256 for name, pin in sorted(self.models.items())},
        }


class Stopwatch:
    """Wall time that goes on from a given instant, so that the caller's clock stays the only one that is read."""

    def __init__(self, wall_now: datetime) -> None:
        """Start at `wall_now`."""
        self._start = wall_now
        self._ticks = monotonic_ns()

    def now(self) -> datetime:
        """Return the wall time now."""
        return self._start + timedelta(microseconds=(monotonic_ns() - self._ticks) // 1000)
