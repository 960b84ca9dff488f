"""The account as it was read under its lock, as cases for the gate; grows with each order that a batch has accepted."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from execution.gateway.rows import AccountRow, ItemRow
from execution.gateway.tally import Tally
from execution.session_hours import auctions_are_taken
from marketdata import calendar
from marketdata.clock import price_age
from risk.release import code_version
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
DESK = "desk"


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
        self._tally = Tally()

    def case(self, intent: OrderIntent, row: ItemRow) -> Case:
        """Return the case of one intent; earlier orders of the batch are counted as open."""
        price = self._price(row)
        mark = price.last if price else ZERO
        limits = limit_book(row.limits_version).resolve(
            strategy=intent.strategy, symbol=intent.symbol, at=self.wall_now
        )
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
                account_sector=(row.pace.account_sector or ZERO) + self._tally.sector("", row.instrument),
                strategy_sector=(row.pace.strategy_sector or ZERO)
                + self._tally.sector(intent.strategy, row.instrument),
                identical_count=self._identical_count(intent, row, limits.strategy.identical_window_seconds),
                run_count=(row.pace.run_count or 0) + self._tally.run_count(intent),
                opposite_price=self._tally.opposite_price(intent, row.pace.opposite_price),
                parent_left=self._tally.parent_left(intent, row.pace.parent_left),
                session_peak_equity=row.pace.session_peak_equity if row.pace.peaks_on == self.day else None,
                peak_equity=row.pace.peak_equity,
            ),
            limits=limits,
            state=self._state(intent, row),
            signal_age=self._signal_age(intent),
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
                turnover=totals.turnover + case.notional,
                messages=totals.messages + 1,
            )
        self._lines[intent.strategy, intent.symbol] = after
        self._lines["", intent.symbol] = _with_order(case.book.account_line, case)
        self._last_order.add((intent.strategy, intent.symbol))
        self.rate_count += 1
        self._tally.count(case, added=after.worst_notional - before.worst_notional)

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
        # A replay is one process, which may be of another version than the desk's.
        announced = (row.pace.release or "") if self.account.kind == DESK else ""
        return TradingState(
            halted_by=stop.scopes,
            halt_level=stop.level.value,
            breaker=breaker.value,
            reconciliation=self.account.reconciliation,
            strategy_enabled=row.strategy_enabled,
            clock_skew_ms=row.pace.clock_skew_ms,
            release=announced,
            version=code_version() if announced else "",
        )

    def _last_order_at(self, intent: OrderIntent, row: ItemRow) -> datetime | None:
        return self.market_at if (intent.strategy, intent.symbol) in self._last_order else row.last_order_at

    def _identical_count(self, intent: OrderIntent, row: ItemRow, window: Decimal) -> int:
        if window <= 0:
            return 0
        since = self.market_at - timedelta(seconds=int(window))
        return sum(at > since for at in row.pace.identical_at or ()) + self._tally.identical_count(intent)

    def _signal_age(self, intent: OrderIntent) -> int | None:
        if intent.signals_as_of is None:
            return None
        if intent.signals_as_of >= self.day:
            return 0
        return len(calendar.sessions_between(intent.signals_as_of, self.day)) - 1


def _with_order(line: Exposure, case: Case) -> Exposure:
    return line.adding(sign=case.intent.sign, quantity=case.intent.quantity, price=case.reserve_price)
