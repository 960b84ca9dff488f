"""Answers about the account and the market: positions, account, history, clock, calendar, assets."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from execution.alpaca_wire.answers import (
    account_answer,
    asset_answer,
    asset_id_of,
    calendar_day,
    clock_answer,
    configurations_answer,
    position_answer,
)
from execution.alpaca_wire.errors import INTERNAL, NOT_FOUND, WireError, malformed, position_not_found
from execution.emulator.faults import FaultKind
from execution.emulator.market import Listing
from execution.emulator.venue.admission import shares_held
from execution.emulator.venue.queries import HistoryQuery
from execution.emulator.venue.state import VenueState, span
from execution.emulator.venue.values import equity, mark, market_values, power_left
from execution.matching.holdings import Holding
from marketdata import calendar
from marketdata.clock import NEW_YORK

ZERO = Decimal(0)
SHARE_STEP = Decimal("0.000001")
LONGEST_CALENDAR_YEARS = 30


def holdings_now(state: VenueState) -> dict[str, Holding]:
    """Return what the positions' answers tell of: what is held, or was a while ago.

    :raises WireError: where the plan of faults says that they fail
    """
    failing = state.take_fault(FaultKind.POSITIONS_FAIL)
    if failing is not None:
        raise WireError(int(failing.parameters.get("status", 500)), INTERNAL, "internal server error occurred")
    lag = state.take_fault(FaultKind.POSITIONS_LAG)
    if lag is not None:
        return state.log.holdings(until=state.clock.now() - span(lag.seconds(Decimal(10))))
    return dict(sorted(state.ledger.holdings.items()))


def positions(state: VenueState) -> list[dict[str, Any]]:
    """Return every position."""
    return [position(state, symbol, holding) for symbol, holding in holdings_now(state).items()]


def position_of(state: VenueState, symbol: str) -> dict[str, Any]:
    """Return one position.

    :raises WireError: 404
    """
    holding = holdings_now(state).get(symbol)
    if holding is None:
        raise position_not_found(symbol)
    return position(state, symbol, holding)


def position(state: VenueState, symbol: str, holding: Holding) -> dict[str, Any]:
    """Return the JSON of a position."""
    closing_side = "sell" if holding.quantity > 0 else "buy"
    held = shares_held(order for order in state.orders.live(symbol) if order.body.side == closing_side)
    sign = 1 if holding.quantity > 0 else -1
    price = mark(state, symbol)
    last_close = state.market.previous_close(symbol, calendar.trading_date(state.at))
    listing = state.market.listings.get(symbol)
    return position_answer(
        symbol=symbol,
        exchange="" if listing is None else listing.exchange,
        quantity=holding.quantity,
        available=sign * max(abs(holding.quantity) - held, ZERO),
        average_price=holding.average_price,
        current_price=price,
        last_close=last_close or price,
    )


def symbol_of(state: VenueState, symbol_or_asset_id: str) -> str:
    """Return the symbol that a symbol or an asset id stands for; what is neither comes back as it is."""
    symbols = {*state.market.listings, *state.ledger.holdings}
    return next((name for name in sorted(symbols) if asset_id_of(name) == symbol_or_asset_id), symbol_or_asset_id)


def account(state: VenueState) -> dict[str, Any]:
    """Return the account."""
    long, short = market_values(state)
    flags, settings = state.flags, state.settings
    return account_answer(
        id=settings.account_id,
        account_number=settings.account_number,
        cash=state.ledger.cash,
        long_market_value=long,
        short_market_value=short,
        last_equity=state.ledger.last_equity,
        buying_power=max(power_left(state), ZERO),
        multiplier=settings.multiplier,
        created_at=state.opened_at,
        shorting_enabled=flags.shorting_enabled and not flags.no_shorting,
        trading_blocked=flags.trading_blocked,
        account_blocked=flags.account_blocked,
        trade_suspended_by_user=flags.suspended,
        accrued_fees=state.ledger.accrued_fees,
    )


def configurations(state: VenueState) -> dict[str, Any]:
    """Return the account's configurations."""
    flags = state.flags
    return configurations_answer(suspended=flags.suspended, no_shorting=flags.no_shorting, fractional=flags.fractional)


CONFIGURABLE = {"suspend_trade": "suspended", "no_shorting": "no_shorting", "fractional_trading": "fractional"}
ACCEPTED_UNCHANGED = frozenset(
    {"max_margin_multiplier", "trade_confirm_email", "ptp_no_exception_entry", "dtbp_check", "pdt_check"}
)


def configure(state: VenueState, body: dict[str, Any]) -> dict[str, Any]:
    """Change the account's configurations, all that are given or none, and return them.

    :raises WireError: 422, an unknown name or something else than true or false
    """
    for name, value in body.items():
        if name in ACCEPTED_UNCHANGED:
            continue
        if name not in CONFIGURABLE:
            raise malformed(name, value, f"one of {', '.join(sorted({*CONFIGURABLE, *ACCEPTED_UNCHANGED}))}")
        if not isinstance(value, bool):
            raise malformed(name, value, "true or false")
    at = state.moment()
    for name, flag in CONFIGURABLE.items():
        if name in body:
            setattr(state.flags, flag, body[name])
            state.log.add("configured", at=at, name=name, value=body[name])
    return configurations(state)


def portfolio_history(state: VenueState, query: HistoryQuery) -> dict[str, Any]:
    """Return the equity at each close, and now: timestamps are UNIX seconds."""
    points = [(int(calendar.session_close(day).timestamp()), day, value) for day, value in state.ledger.closes]
    points.append((int(state.at.timestamp()), state.at.astimezone(NEW_YORK).date(), equity(state)))
    wanted = [
        (second, value)
        for second, day, value in points
        if (query.start is None or day >= query.start) and (query.end is None or day <= query.end)
    ]
    base = state.settings.starting_cash
    return {
        "timestamp": [second for second, _ in wanted],
        "equity": [value for _, value in wanted],
        "profit_loss": [value - base for _, value in wanted],
        "profit_loss_pct": [((value - base) / base).quantize(SHARE_STEP) if base else ZERO for _, value in wanted],
        "base_value": base,
        "base_value_asof": state.opened_at.astimezone(NEW_YORK).date().isoformat(),
        "timeframe": "1D",
        "cashflow": {},
    }


def clock(state: VenueState) -> dict[str, Any]:
    """Return the market clock: true hours, and a timestamp that the plan of faults may falsify."""
    now = state.clock.now()
    day = calendar.trading_date(now)
    next_open = calendar.session_open(day)
    if next_open <= now:
        next_open = calendar.session_open(calendar.next_session(day))
    next_close = calendar.session_close(day)
    if next_close <= now:
        next_close = calendar.session_close(calendar.next_session(day))
    skew = state.take_fault(FaultKind.CLOCK_SKEW)
    told = now if skew is None else now + span(skew.seconds(Decimal(60)))
    return clock_answer(at=told, is_open=calendar.is_open(now), next_open=next_open, next_close=next_close)


def calendar_days(start: date, end: date) -> list[dict[str, str]]:
    """Return the sessions from start to end.

    :raises WireError: 422, end before start or more than 30 years
    """
    if end < start or end.year - start.year > LONGEST_CALENDAR_YEARS:
        raise malformed(
            "end", end.isoformat(), f"a date from start on, {LONGEST_CALENDAR_YEARS} years after it at most"
        )
    return [
        calendar_day(
            day=day,
            opens_at=_new_york_time(calendar.session_open(day)),
            closes_at=_new_york_time(calendar.session_close(day)),
        )
        for day in calendar.sessions_between(start, end)
    ]


def assets(state: VenueState) -> list[dict[str, Any]]:
    """Return every security."""
    listings = state.market.listings
    return [asset_json(listings[symbol]) for symbol in sorted(listings)]


def asset(state: VenueState, symbol_or_asset_id: str) -> dict[str, Any]:
    """Return one security.

    :raises WireError: 404
    """
    listing = state.market.listings.get(symbol_of(state, symbol_or_asset_id))
    if listing is None:
        raise WireError(404, NOT_FOUND, f"asset not found for {symbol_or_asset_id}")
    return asset_json(listing)


def asset_json(listing: Listing) -> dict[str, Any]:
    """Return the JSON of a security."""
    return asset_answer(
        symbol=listing.symbol,
        name=listing.name,
        exchange=listing.exchange,
        tradable=listing.tradable and listing.active,
        shortable=listing.shortable,
        fractionable=listing.fractionable,
        active=listing.active,
    )


def _new_york_time(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%H:%M}"
