"""Everything on the wire but orders: account, positions, activities, clock, calendar, assets, bars, quotes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from execution.alpaca_wire.text import moment, money, new_york, number

ZERO = Decimal(0)
ASSETS = UUID("4a1c6d3e-7f63-5c52-9f0e-2f9c1a7b8d10")
PERCENT_STEP = Decimal("0.00000001")
PRICE_STEP = Decimal("0.000001")
EXCHANGES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "ARCX": "ARCA", "BATS": "BATS", "XASE": "AMEX"}


def asset_id_of(symbol: str) -> str:
    """Return the id under which a symbol is known: the same on every machine."""
    return str(uuid5(ASSETS, symbol))


def exchange_of(mic: str) -> str:
    """Return Alpaca's word for an exchange, empty when it has none."""
    return EXCHANGES.get(mic, "")


def account_answer(
    *,
    id: str,
    account_number: str,
    cash: Decimal,
    long_market_value: Decimal,
    short_market_value: Decimal,
    last_equity: Decimal,
    buying_power: Decimal,
    multiplier: Decimal,
    created_at: datetime,
    shorting_enabled: bool = True,
    trading_blocked: bool = False,
    account_blocked: bool = False,
    trade_suspended_by_user: bool = False,
    accrued_fees: Decimal = ZERO,
) -> dict[str, Any]:
    """Return the account; all amounts in account currency, `short_market_value` is negative or zero.

    Margins are Regulation T's: initial half of what is held, maintenance 25% of long and 30% of short values.
    """
    equity = cash + long_market_value + short_market_value
    held = long_market_value - short_market_value
    return {
        "id": id,
        "account_number": account_number,
        "status": "ACTIVE",
        "currency": "USD",
        "cash": money(cash),
        "equity": money(equity),
        "portfolio_value": money(equity),
        "last_equity": money(last_equity),
        "buying_power": money(buying_power),
        "regt_buying_power": money(buying_power),
        "non_marginable_buying_power": money(max(cash, ZERO)),
        "long_market_value": money(long_market_value),
        "short_market_value": money(short_market_value),
        "initial_margin": money(held / 2),
        "maintenance_margin": money(long_market_value * Decimal("0.25") - short_market_value * Decimal("0.30")),
        "last_maintenance_margin": money(ZERO),
        "sma": money(ZERO),
        "multiplier": number(multiplier),
        "accrued_fees": money(accrued_fees),
        "trading_blocked": trading_blocked,
        "transfers_blocked": False,
        "account_blocked": account_blocked,
        "trade_suspended_by_user": trade_suspended_by_user,
        "shorting_enabled": shorting_enabled,
        "created_at": moment(created_at),
    }


def position_answer(
    *,
    symbol: str,
    exchange: str,
    quantity: Decimal,
    available: Decimal,
    average_price: Decimal,
    current_price: Decimal,
    last_close: Decimal,
    marginable: bool = True,
) -> dict[str, Any]:
    """Return a position; `quantity` is negative for a short, `available` is what no open order holds."""
    cost, value = quantity * average_price, quantity * current_price
    profit, today = value - cost, quantity * (current_price - last_close)
    return {
        "asset_id": asset_id_of(symbol),
        "symbol": symbol,
        "exchange": exchange,
        "asset_class": "us_equity",
        "asset_marginable": marginable,
        "qty": number(quantity),
        "qty_available": number(available),
        "avg_entry_price": number(average_price),
        "side": "long" if quantity > 0 else "short",
        "market_value": money(value),
        "cost_basis": money(cost),
        "unrealized_pl": money(profit),
        "unrealized_plpc": _share(profit, cost),
        "unrealized_intraday_pl": money(today),
        "unrealized_intraday_plpc": _share(today, quantity * last_close),
        "current_price": number(current_price),
        "lastday_price": number(last_close),
        "change_today": _share(current_price - last_close, last_close),
    }


def fill_activity(
    *,
    execution_id: str,
    at: datetime,
    symbol: str,
    side: str,
    quantity: Decimal,
    price: Decimal,
    cumulative_quantity: Decimal,
    leaves_quantity: Decimal,
    order_id: str,
) -> dict[str, Any]:
    """Return one line of /v2/account/activities/FILL; its id sorts by time and ends with the execution's id."""
    done = not leaves_quantity
    return {
        "id": f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{execution_id}",
        "activity_type": "FILL",
        "transaction_time": moment(at),
        "type": "fill" if done else "partial_fill",
        "price": number(price),
        "qty": number(quantity),
        "side": side,
        "symbol": symbol,
        "leaves_qty": number(leaves_quantity),
        "cum_qty": number(cumulative_quantity),
        "order_id": order_id,
        "order_status": "filled" if done else "partially_filled",
    }


def clock_answer(*, at: datetime, is_open: bool, next_open: datetime, next_close: datetime) -> dict[str, Any]:
    """Return the market clock, with New York's offset."""
    return {
        "timestamp": new_york(at),
        "is_open": is_open,
        "next_open": new_york(next_open),
        "next_close": new_york(next_close),
    }


def calendar_day(*, day: date, opens_at: str, closes_at: str) -> dict[str, str]:
    """Return one session; times are New York's, as 09:30."""
    return {
        "date": day.isoformat(),
        "open": opens_at,
        "close": closes_at,
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": day.isoformat(),
    }


def asset_answer(
    *,
    symbol: str,
    name: str,
    exchange: str,
    tradable: bool = True,
    shortable: bool = True,
    fractionable: bool = False,
    active: bool = True,
) -> dict[str, Any]:
    """Return an asset."""
    return {
        "id": asset_id_of(symbol),
        "class": "us_equity",
        "exchange": exchange,
        "symbol": symbol,
        "name": name,
        "status": "active" if active else "inactive",
        "tradable": tradable,
        "marginable": True,
        "shortable": shortable,
        "easy_to_borrow": shortable,
        "fractionable": fractionable,
        "maintenance_margin_requirement": 30,
        "attributes": [],
    }


def configurations_answer(*, suspended: bool, no_shorting: bool = False, fractional: bool = False) -> dict[str, Any]:
    """Return the account's configurations."""
    return {
        "fractional_trading": fractional,
        "max_margin_multiplier": "2",
        "no_shorting": no_shorting,
        "suspend_trade": suspended,
        "trade_confirm_email": "none",
        "ptp_no_exception_entry": False,
    }


def bar_answer(bar: Mapping[str, Decimal], *, at: datetime) -> dict[str, Any]:
    """Return one bar of decimals (open, high, low, close, volume), which `encode` writes as bare JSON numbers.

    The average price is not stored with a bar: the typical price (high + low + close) / 3 stands for it.
    """
    typical = ((bar["high"] + bar["low"] + bar["close"]) / 3).quantize(PRICE_STEP)
    prices = {short: bar[name] for short, name in (("o", "open"), ("h", "high"), ("l", "low"), ("c", "close"))}
    return {"t": moment(at), **prices, "v": int(bar["volume"]), "n": 0, "vw": typical}


def quote_answer(*, bid: Decimal | None, ask: Decimal | None, at: datetime) -> dict[str, Any]:
    """Return one quote; an absent side is 0, as on the wire."""
    return {
        "t": moment(at),
        "ax": "V",
        "ap": ask or 0,
        "as": 1 if ask is not None else 0,
        "bx": "V",
        "bp": bid or 0,
        "bs": 1 if bid is not None else 0,
        "c": ["R"],
        "z": "C",
    }


def _share(part: Decimal, whole: Decimal) -> str:
    return "0" if not whole else number((part / abs(whole)).quantize(PERCENT_STEP)) or "0"
