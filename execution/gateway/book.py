"""The account as it was read under its lock, as cases for the gate; grows with each order that a batch has accepted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from execution.session_hours import auctions_are_taken
from marketdata import calendar
from marketdata.clock import price_age
from risk.selectors import breaker_state, limit_book
from risk.stops import StopScopes
from risk.types import (
    Case,
    Exposure,
    InstrumentView,
    OrderIntent,
    PortfolioSnapshot,
    PriceView,
    SessionView,
    Totals,
    TradingState,
)

ZERO = Decimal(0)
MINUTE = timedelta(minutes=1)


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
        account_totals=_totals(row[36:43]),
        strategy_totals=_totals(row[43:50]),
        existing=Existing(*row[50:56]),
        bands_at=row[60],
    )


def _totals(columns: Sequence[Any]) -> Totals:
    if columns[0] is None:
        return Totals()
    gross, net, open_buy, open_sell, names, open_orders, loss = columns
    return Totals(
        gross=gross,
        net=net,
        open_buy_notional=open_buy,
        open_sell_notional=open_sell,
        names=int(names),
        open_orders=int(open_orders),
        reserved_loss=loss,
    )


class Book:
    """Builds the case of each intent of a batch, and remembers what the earlier ones have reserved."""

    def __init__(self, *, account: AccountRow, market_at: datetime, wall_now: datetime, day: date) -> None:
        self.account = account
        self.market_at = market_at
        self.wall_now = wall_now
        self.day = day
        # An order that waited for the lock may come from an earlier minute than the counter's: it counts there.
        minute = market_at.replace(second=0, microsecond=0)
        self.minute = max(minute, account.rate_window_at or minute)
        self.rate_count = account.rate_window_count if account.rate_window_at == self.minute else 0
        self._session = SessionView(
            phase=calendar.market_phase(market_at),
            minutes_from_open=calendar.minutes_from_open(market_at),
            minutes_to_close=calendar.minutes_to_close(market_at),
            auctions_taken=auctions_are_taken(market_at),
        )
        self._lines: dict[tuple[str, str], Exposure] = {}
        self._totals: dict[str, Totals] = {}
        self._last_order: set[tuple[str, str]] = set()

    def case(self, intent: OrderIntent, row: ItemRow) -> Case:
        """Return the case of one intent; earlier orders of the batch are counted as open."""
        price = self._price(row)
        mark = price.last if price else ZERO
        limits = limit_book(row.limits_version).resolve(strategy=intent.strategy, symbol=intent.symbol)
        strategy_line = self._lines.setdefault((intent.strategy, intent.symbol), row.strategy_line.exposure(mark))
        account_line = self._lines.setdefault(("", intent.symbol), row.account_line.exposure(mark))
        equity = self.account.cash + row.account_totals.net
        return Case(
            intent=intent,
            at=self.market_at,
            session=self._session,
            instrument=self._instrument(row),
            price=price,
            book=PortfolioSnapshot(
                strategy_line=strategy_line,
                account_line=account_line,
                strategy_totals=self._totals.setdefault(intent.strategy, row.strategy_totals),
                account_totals=self._totals.setdefault("", row.account_totals),
                equity=equity,
                day_base_equity=self.account.starting_cash if row.day_base is None else row.day_base,
                week_base_equity=self.account.starting_cash if row.week_base is None else row.week_base,
                margin_multiplier=self.account.margin_multiplier,
                rate_count=self.rate_count,
                last_order_at=self._last_order_at(intent, row),
            ),
            limits=limits,
            state=self._state(intent, row),
        )

    def reserve(self, case: Case) -> None:
        """Count an accepted order for the rest of the batch."""
        intent = case.intent
        before = case.book.strategy_line
        after = _with_order(before, case)
        for key, totals, was_flat in (
            ("", case.book.account_totals, case.book.account_line.is_flat),
            (intent.strategy, case.book.strategy_totals, before.is_flat),
        ):
            self._totals[key] = replace(
                totals,
                gross=totals.gross + after.worst_notional - before.worst_notional,
                open_buy_notional=totals.open_buy_notional + after.open_buy_notional - before.open_buy_notional,
                open_sell_notional=totals.open_sell_notional + after.open_sell_notional - before.open_sell_notional,
                names=totals.names + was_flat,
                open_orders=totals.open_orders + 1,
                reserved_loss=totals.reserved_loss + intent.quantity * case.loss_per_share,
            )
        self._lines[intent.strategy, intent.symbol] = after
        self._lines["", intent.symbol] = _with_order(case.book.account_line, case)
        self._last_order.add((intent.strategy, intent.symbol))
        self.rate_count += 1

    def _instrument(self, row: ItemRow) -> InstrumentView | None:
        """Return the instrument; a price band of another session says nothing about this one."""
        if row.instrument is None or row.bands_at is None or calendar.trading_date(row.bands_at) == self.day:
            return row.instrument
        return replace(row.instrument, limit_down=None, limit_up=None)

    def _price(self, row: ItemRow) -> PriceView | None:
        if row.price is None:
            return None
        last, bid, ask, at = row.price
        age = price_age(at, now=self.market_at, lead=self.account.price_lead)
        return PriceView(last=last, bid=bid, ask=ask, at=at, age_seconds=age)

    def _state(self, intent: OrderIntent, row: ItemRow) -> TradingState:
        engaged = StopScopes.read(row.engaged, has_global=row.has_global)
        stop = engaged.stop_of(account_scope=self.account.scope, strategy=intent.strategy, symbol=intent.symbol)
        breaker = breaker_state(state=row.breaker, quiet_until=row.quiet_until, wall_now=self.wall_now)
        return TradingState(
            halted_by=stop.scopes,
            halt_level=stop.level.value,
            breaker=breaker.value,
            reconciliation=self.account.reconciliation,
            strategy_enabled=row.strategy_enabled,
        )

    def _last_order_at(self, intent: OrderIntent, row: ItemRow) -> datetime | None:
        return self.market_at if (intent.strategy, intent.symbol) in self._last_order else row.last_order_at


def _with_order(line: Exposure, case: Case) -> Exposure:
    return line.adding(sign=case.intent.sign, quantity=case.intent.quantity, price=case.reserve_price)
