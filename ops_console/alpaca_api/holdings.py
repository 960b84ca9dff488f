"""What the account holds, as a broker sees it: one line a symbol, all strategies together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.answers import asset_id_of, exchange_of, position_answer
from execution.alpaca_wire.errors import position_not_found
from execution.models import Account
from execution.selectors import PositionView, positions
from marketdata import calendar
from marketdata.models import Instrument
from marketdata.selectors import bars

ZERO = Decimal(0)
PRICE_STEP = Decimal("0.000001")


@dataclass(slots=True)
class Holding:
    """One symbol; `quantity` is negative for a short, `closing` are the shares that open orders close already."""

    symbol: str
    lines: list[PositionView] = field(default_factory=list)

    @property
    def quantity(self) -> Decimal:
        """Shares held over all strategies."""
        return sum((line.quantity for line in self.lines), ZERO)

    @property
    def cost_basis(self) -> Decimal:
        """What they cost, account currency, signed like the quantity."""
        return sum((line.cost_basis for line in self.lines), ZERO)

    @property
    def market_value(self) -> Decimal:
        """What they are worth at the mark, account currency."""
        return sum((line.market_value for line in self.lines), ZERO)

    @property
    def closing(self) -> Decimal:
        """Shares in open orders of the side that closes."""
        if self.quantity > 0:
            return sum((line.open_sell_quantity for line in self.lines), ZERO)
        return sum((line.open_buy_quantity for line in self.lines), ZERO)

    @property
    def available(self) -> Decimal:
        """Shares that no open order closes yet, signed like the quantity."""
        left = max(abs(self.quantity) - self.closing, ZERO)
        return left if self.quantity > 0 else -left


def holdings_of(lines: Iterable[PositionView]) -> list[Holding]:
    """Group lines of strategies by symbol; flat symbols are left out."""
    found: dict[str, Holding] = {}
    for line in lines:
        found.setdefault(line.symbol, Holding(line.symbol)).lines.append(line)
    return sorted((each for each in found.values() if each.quantity), key=lambda each: each.symbol)


def holdings(account: Account, wall_now: datetime) -> list[Holding]:
    """Return what is held, by symbol."""
    return holdings_of(positions(account, wall_now))


def holding(account: Account, wall_now: datetime, symbol: str) -> Holding:
    """Return one of them.

    :raises WireError: 404
    """
    for each in holdings(account, wall_now):
        if each.symbol == symbol:
            return each
    raise position_not_found(symbol)


def holdings_told(found: Iterable[Holding], market_at: datetime) -> list[dict[str, Any]]:
    """Return Alpaca's positions; intraday figures count from the close before."""
    wanted = list(found)
    symbols = [each.symbol for each in wanted]
    closes = closes_before(symbols, market_at)
    instruments = {row.symbol: row for row in Instrument.objects.filter(symbol__in=symbols)}
    return [_told(each, instruments[each.symbol], closes.get(each.symbol)) for each in wanted]


def closes_before(symbols: list[str], market_at: datetime) -> dict[str, Decimal]:
    """Return the closes of the session before, in the shares of today; a symbol without a bar is left out."""
    if not symbols:
        return {}
    today = calendar.trading_date(market_at)
    day = calendar.previous_session(today)
    frame = bars(symbols, start=day, end=day, adjustment="split", as_of=today)
    return {row["symbol"]: price(row["close"]) for row in frame.iter_rows(named=True)}


def price(value: float) -> Decimal:
    """Return a price of the lake (float64, research data) as a decimal."""
    return Decimal(repr(value)).quantize(PRICE_STEP).normalize() + ZERO


def symbol_of(symbol_or_asset_id: str) -> str:
    """Return the symbol that an address names, by itself or by its asset's id."""
    if len(symbol_or_asset_id) != 36:
        return symbol_or_asset_id
    names = Instrument.objects.values_list("symbol", flat=True)
    return next((name for name in names if asset_id_of(name) == symbol_or_asset_id.lower()), symbol_or_asset_id)


def _told(each: Holding, instrument: Instrument, last_close: Decimal | None) -> dict[str, Any]:
    mark = each.lines[0].current_price
    return position_answer(
        symbol=each.symbol,
        exchange=exchange_of(instrument.exchange),
        quantity=each.quantity,
        available=each.available,
        average_price=each.cost_basis / each.quantity,
        current_price=mark,
        last_close=mark if last_close is None else last_close,
    )
