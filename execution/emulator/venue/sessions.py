"""Let the market go on: mornings, auctions, ticks, ends of sessions, and what was put on the agenda."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

from execution.emulator.venue.corporate import apply_actions
from execution.emulator.venue.life import apply_outcomes, become_new, end_order
from execution.emulator.venue.orders import PENDING, VenueOrder
from execution.emulator.venue.state import VenueState
from execution.emulator.venue.values import equity
from execution.matching.engine import expire_session, match_event
from execution.matching.events import ClosingAuction, OpeningAuction, PriceEvent, SessionEnd
from execution.session_hours import hours_for_event
from marketdata.calendar import (
    POST_MARKET,
    PRE_MARKET,
    market_phase,
    session_close,
    session_open,
    sessions_between,
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Part(IntEnum):
    """The turning points of a session, in order."""

    MORNING = 1
    OPEN = 2
    CLOSE = 3
    EVENING = 4


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A turning point."""

    at: datetime
    part: Part
    day: date


def pump(state: VenueState, now: datetime) -> None:
    """Let everything happen up to `now`, turning point by turning point; looking again at the same time is allowed."""
    for turn in turns(state.pumped_at, now):
        walk(state, turn.at)
        state.moment(turn.at)
        state.agenda.run(turn.at)
        pass_turn(state, turn)
        state.pumped_at = turn.at
    walk(state, now)
    state.agenda.run(state.moment(now))
    tick_all(state, state.moment(now))
    state.pumped_at = max(now, state.pumped_at)


def turns(after: datetime, until: datetime) -> list[Turn]:
    """Return the turning points later than `after`, up to `until`."""
    found: list[Turn] = []
    for day in sessions_between(after.date() - DAY, until.date() + DAY):
        opens_at, closes_at = session_open(day), session_close(day)
        found += [
            Turn(opens_at - PRE_MARKET, Part.MORNING, day),
            Turn(opens_at, Part.OPEN, day),
            Turn(closes_at, Part.CLOSE, day),
            Turn(closes_at + POST_MARKET, Part.EVENING, day),
        ]
    return [turn for turn in found if after < turn.at <= until]


def walk(state: VenueState, until: datetime) -> None:
    """Take the ticks of the whole minutes that lie between the last look and `until`, while orders wait for any."""
    for at in minutes_between(state.pumped_at, until):
        if not state.orders.live():
            break
        state.agenda.run(state.moment(at))
        tick_all(state, state.moment(at))


def minutes_between(after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the whole minutes strictly between two instants of one phase of the market; none while it is closed."""
    if market_phase(after) == "closed":
        return
    at = after.replace(second=0, microsecond=0) + MINUTE
    while at < until:
        yield at
        at += MINUTE


def tick_all(state: VenueState, at: datetime) -> None:
    """Let the orders of every symbol meet its newest quote, in order of symbol.

    What nobody of ours has traded of the last minute's volume is still there: looks that follow each other in
    milliseconds would otherwise never offer a whole share.
    """
    for symbol in sorted({order.symbol for order in state.orders.matchable()}):
        after = max(state.traded_at.get(symbol, at - MINUTE), at - MINUTE)
        event = state.market.tick(symbol, after=after, until=at)
        if event is not None:
            match(state, event)


def match(state: VenueState, event: PriceEvent) -> None:
    """Let the orders of a symbol meet an event."""
    orders = [order.working for order in state.orders.matchable(event.symbol)]
    if orders:
        rules = state.settings.rules()
        apply_outcomes(state, match_event(event, orders, hours=hours_for_event(event.at), rules=rules))


def pass_turn(state: VenueState, turn: Turn) -> None:
    """Do what belongs to a turning point."""
    if turn.part == Part.MORNING:
        apply_actions(state, turn.day, turn.at)
        begin(state, turn, extended=True)
    elif turn.part == Part.OPEN:
        begin(state, turn, extended=False)
        for symbol, opening in state.market.opening(turn.day).items():
            match(state, OpeningAuction(symbol, opening.price, opening.volume, turn.at))
    elif turn.part == Part.CLOSE:
        for symbol, closing in state.market.closing(turn.day).items():
            match(state, ClosingAuction(symbol, closing.price, closing.volume, turn.at))
        end_session(state, turn, extended=False)
        rest_overnight(state, turn)
        close_books(state, turn)
    else:
        end_session(state, turn, extended=True)


def begin(state: VenueState, turn: Turn, *, extended: bool) -> None:
    """Let the orders work that have waited for this session."""
    for order in state.orders.live():
        waits = order.status in ("accepted", "done_for_day") and order.waits_for is None
        if waits and order.working.session_date <= turn.day and (order.body.extended_hours or not extended):
            become_new(state, order, turn.at)


def end_session(state: VenueState, turn: Turn, *, extended: bool) -> None:
    """Expire what was good for this session; orders for extended hours end with those."""
    ending = {
        order.sequence: order
        for order in state.orders.live()
        if order.body.extended_hours == extended and order.status != "held" and order.waits_for is None
    }
    event = SessionEnd(turn.day, turn.at)
    for outcome in expire_session(event, [order.working for order in ending.values()]):
        order = ending[outcome.order.sequence]
        if order.is_live:
            end_order(state, order, "expired", turn.at, reason=outcome.reason)


def rest_overnight(state: VenueState, turn: Turn) -> None:
    """Tell that what is good till canceled is done for the day."""
    if not state.settings.gtc_done_for_day:
        return
    for order in state.orders.live():
        if order.working.time_in_force == "gtc" and rests(order):
            order.status, order.updated_at = "done_for_day", turn.at
            state.note("done_for_day", order, turn.at)
            state.tell("done_for_day", order, turn.at)


def rests(order: VenueOrder) -> bool:
    """Tell whether the order works, and nobody is about to change it."""
    return order.is_matchable and order.status not in PENDING


def close_books(state: VenueState, turn: Turn) -> None:
    """Charge the day's fees and remember what the account is worth."""
    ledger = state.ledger
    if ledger.accrued_fees:
        amount, ledger.accrued_fees = -ledger.accrued_fees, ledger.accrued_fees * 0
        description = f"fees of {turn.day.isoformat()}"
        ledger.pay("FEE", id=state.new_id(), at=turn.at, day=turn.day, amount=amount, description=description)
        state.log.add("fee", at=turn.at, cash=amount, description=description)
    ledger.last_equity = equity(state)
    ledger.closes.append((turn.day, ledger.last_equity))
