"""What the statements of the order path return, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from risk.types import Exposure, InstrumentView, Totals

ZERO = Decimal(0)


class AccountRow(NamedTuple):
    """What the lock statement returns."""

    id: int
    name: str
    cash: Decimal
    starting_cash: Decimal
    margin_multiplier: Decimal
    reconciliation: str
    rate_window_at: datetime | None
    rate_window_count: int
    feed_id: int
    kind: str
    price_lead: timedelta

    @property
    def scope(self) -> str:
        """Name of the account among the scopes of trading states."""
        return f"account:{self.name}"


class LineRow(NamedTuple):
    """One position line: `held` at the mark."""

    quantity: Decimal | None
    held: Decimal | None
    open_buy_quantity: Decimal | None
    open_sell_quantity: Decimal | None
    open_buy_notional: Decimal | None
    open_sell_notional: Decimal | None
    open_order_count: int | None

    def exposure(self, mark: Decimal) -> Exposure:
        """Return the line at a mark."""
        if self.quantity is None:
            return Exposure(mark=mark)
        return Exposure(
            quantity=self.quantity,
            mark=mark,
            open_buy_quantity=self.open_buy_quantity or ZERO,
            open_sell_quantity=self.open_sell_quantity or ZERO,
            open_buy_notional=self.open_buy_notional or ZERO,
            open_sell_notional=self.open_sell_notional or ZERO,
            open_order_count=int(self.open_order_count or 0),
        )


class Existing(NamedTuple):
    """Orders that may be this very order: by its id, by its idempotency key, and the newest attempt of the wish."""

    by_client_id: int | None
    by_idempotency_key: int | None
    newest_attempt: int | None
    attempt: int | None
    status: str | None
    filled_quantity: Decimal | None


class PaceRow(NamedTuple):
    """What is counted: sums of the sector, orders in a row, when orders alike came, the best resting limit of the other
    side; the highest equity that was seen, the broker's clock, the version that trades.
    """

    account_sector: Decimal | None
    strategy_sector: Decimal | None
    run_count: int | None
    identical_at: list[datetime] | None
    opposite_price: Decimal | None
    session_peak_equity: Decimal | None
    peak_equity: Decimal | None
    peaks_on: date | None
    clock_skew_ms: int | None
    release: str | None
    parent_left: Decimal | None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """What the read statement returns for one intent."""

    engaged: list[str]
    has_global: bool
    limits_version: int
    day_base: Decimal | None
    week_base: Decimal | None
    breaker: str | None
    quiet_until: datetime | None
    strategy_id: int | None
    strategy_enabled: bool
    instrument_id: int | None
    instrument: InstrumentView | None
    price: tuple[Decimal, Decimal | None, Decimal | None, datetime] | None
    strategy_line: LineRow
    last_order_at: datetime | None
    account_line: LineRow
    account_totals: Totals
    strategy_totals: Totals
    existing: Existing
    pace: "PaceRow"
    bands_at: datetime | None = None


def parse_row(symbol: str, row: Sequence[Any]) -> ItemRow:
    """Name the columns of one row of the read statement; the order is that of its SELECT list."""
    instrument = None
    if row[9] is not None:
        instrument = InstrumentView(
            symbol=symbol,
            tick_size=row[10],
            lot_size=row[11],
            tradable=row[12],
            shortable=row[13],
            fractionable=row[14],
            average_daily_volume=row[15],
            restriction=row[16] or "",
            halted=bool(row[56]),
            halt_reason=row[57] or "",
            limit_down=row[58],
            limit_up=row[59],
            sector=row[61],
        )
    return ItemRow(
        engaged=row[0],
        has_global=row[1],
        limits_version=row[2],
        day_base=row[3],
        week_base=row[4],
        breaker=row[5],
        quiet_until=row[6],
        strategy_id=row[7],
        strategy_enabled=bool(row[8]),
        instrument_id=row[9],
        instrument=instrument,
        price=None if row[17] is None else (row[17], row[18], row[19], row[20]),
        strategy_line=LineRow(*row[21:28]),
        last_order_at=row[28],
        account_line=LineRow(*row[29:36]),
        account_totals=_totals(row[36:43], row[62:64]),
        strategy_totals=_totals(row[43:50], row[64:66]),
        existing=Existing(*row[50:56]),
        pace=PaceRow(*row[66:77]),
        bands_at=row[60],
    )


def _totals(columns: Sequence[Any], counted: Sequence[Any]) -> Totals:
    if columns[0] is None:
        return Totals()
    turnover, messages = counted
    gross, net, open_buy, open_sell, names, open_orders, loss = columns
    return Totals(
        gross=gross,
        net=net,
        open_buy_notional=open_buy,
        open_sell_notional=open_sell,
        names=int(names),
        open_orders=int(open_orders),
        reserved_loss=loss,
        turnover=turnover,
        messages=int(messages),
    )
