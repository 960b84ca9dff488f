"""A case that passes every check, to be spoilt one field at a time."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from risk.limits import LIMITS
from risk.types import (
    Case,
    DenialCode,
    EffectiveLimits,
    Exposure,
    InstrumentView,
    LimitValues,
    OrderIntent,
    PortfolioSnapshot,
    PriceView,
    SessionView,
    Side,
    Totals,
    TradingState,
)

NOW = datetime(2012, 6, 14, 14, 32, tzinfo=UTC)  # 10:32 in New York
D = Decimal


def make_intent(**fields: Any) -> OrderIntent:
    return OrderIntent(**{"strategy": "momentum", "symbol": "AAPL", "side": Side.BUY, "quantity": D(100)} | fields)


def make_instrument(**fields: Any) -> InstrumentView:
    values = {
        "symbol": "AAPL",
        "tick_size": D("0.01"),
        "lot_size": D(1),
        "tradable": True,
        "shortable": True,
        "fractionable": False,
        "average_daily_volume": D(1_000_000),
    }
    return InstrumentView(**values | fields)


def make_price(last: Decimal | None = None, **fields: Any) -> PriceView:
    last = D(100) if last is None else last
    values = {"bid": last - D("0.01"), "ask": last + D("0.01"), "at": NOW, "age_seconds": 1}
    return PriceView(**{"last": last} | values | fields)


def make_values(**fields: Decimal) -> LimitValues:
    return LimitValues(**{name: item.default for name, item in LIMITS.items()} | fields)


def make_limits(*, account: dict[str, Any] | None = None, **both: Any) -> EffectiveLimits:
    """Limits of account and strategy alike; `account` overrides those of the account."""
    return EffectiveLimits(account=make_values(**both | (account or {})), strategy=make_values(**both))


def make_book(
    *,
    line: Exposure | None = None,
    account_line: Exposure | None = None,
    totals: Totals | None = None,
    account_totals: Totals | None = None,
    **fields: Any,
) -> PortfolioSnapshot:
    """A book of a million; the account is the strategy alone unless told otherwise."""
    line, totals = line or Exposure(mark=D(100)), totals or Totals()
    values = {
        "equity": D(1_000_000),
        "day_base_equity": D(1_000_000),
        "week_base_equity": D(1_000_000),
        "margin_multiplier": D(2),
        "rate_count": 0,
        "last_order_at": None,
    }
    return PortfolioSnapshot(
        **values | fields,
        strategy_line=line,
        account_line=account_line or line,
        strategy_totals=totals,
        account_totals=account_totals or totals,
    )


def make_state(**fields: Any) -> TradingState:
    values = {"halted_by": (), "breaker": "open", "reconciliation": "clean", "strategy_enabled": True}
    return TradingState(**values | fields)


def make_case(
    *,
    intent: OrderIntent | None = None,
    book: PortfolioSnapshot | None = None,
    limits: EffectiveLimits | None = None,
    **fields: Any,
) -> Case:
    values = {
        "at": NOW,
        "session": SessionView(phase="open", minutes_from_open=62, minutes_to_close=328),
        "instrument": make_instrument(),
        "price": make_price(),
        "state": make_state(),
        "reserve_price": D(100),
    }
    return Case(
        **values | fields, intent=intent or make_intent(), book=book or make_book(), limits=limits or make_limits()
    )


def held(quantity: int | str, *, mark: int | str = 100, **fields: Any) -> Exposure:
    """A line that holds so many shares at the mark."""
    return Exposure(quantity=D(quantity), mark=D(mark), **fields)


def reducing(case: Case, *, strategy_holds: int = 1_000) -> Case:
    """Turn the case's order into a sale of what is held, which only reduces."""
    book = replace(case.book, strategy_line=held(strategy_holds), account_line=held(strategy_holds))
    return replace(case, intent=replace(case.intent, side=Side.SELL), book=book)


def code_of(denial: Any) -> DenialCode | None:
    return None if denial is None else denial.code
