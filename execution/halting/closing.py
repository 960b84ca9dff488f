"""The orders that close positions: sized to what the broker holds now, never through zero, with an end to the tries."""

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from django.db.models import F, Sum

from execution.crashpoints import Point, crashpoint
from execution.errors import OrderConflict
from execution.halting.residue import Found, Kind, Why
from execution.models import Account, BrokerLink, HaltProcedure, HaltResidue, Order, Position
from execution.services.orders import submit_order
from execution.session_hours import auctions_are_taken
from execution.states import OPEN
from execution.types import SubmitResult
from marketdata import calendar
from marketdata.models import TradingStatus
from risk.selectors import limit_book
from risk.types import OrderIntent, OrderType, Origin, Side, TimeInForce

ZERO = Decimal(0)
HUNDRED = Decimal(100)
COOL_DOWN = timedelta(seconds=3)
"""Wall time between two tries of one position: a loop of exits must not hammer the broker."""
MOST_FAILURES = 3
"""Closing orders in a row that have not sold (or bought) a single share before the position is left to people."""
MARGIN = Decimal("0.9")
"""Of the largest value an order may have: the market moves between the look and the gate."""
GIVEN_UP = frozenset({Why.DENIED, Why.REFUSED, Why.MARKET_CLOSED, Why.STRANGER, Why.SUSPENDED})


def close_symbol(
    procedure: HaltProcedure, symbol: str, live: Decimal, *, before: Decimal, strategy: str = "", wall_now: datetime
) -> list[Found]:
    """Order what closes a symbol of which the broker holds `live` shares, and tell what is left of it and why.

    Lines on the broker's side of the position are closed, as far as it has shares that no open order closes already; a
    line on the other side is a matter between our own strategies and needs no trade. `before` is what the book had
    before the broker was asked: when it has another number now, the answer may be older than the fill, and the next
    look decides. What is being closed is read first, so that a fill in between takes room and never gives it.
    """
    account = procedure.account
    room = abs(live) - _being_closed(account, symbol, live)
    rows = Position.objects.filter(account=account, instrument__symbol=symbol).exclude(quantity=0)
    lines = list(rows.select_related("strategy", "instrument").order_by("strategy__name"))
    if sum((row.quantity for row in lines), ZERO) != before:
        return [Found(kind=Kind.POSITION, name=symbol, symbol=symbol, quantity=live, why=Why.CLOSING, detail=MOVED)]
    same_side = [row for row in lines if row.quantity * live > 0 and strategy in ("", row.strategy.name)]
    if not same_side:
        if strategy:
            return []
        return [Found(kind=Kind.POSITION, name=symbol, symbol=symbol, quantity=live, why=Why.STRANGER, detail=OTHERS)]
    found = []
    for line in same_side:
        room, result = _close_line(procedure, line, live, room, wall_now)
        found.append(result)
    return found


MOVED = "shares were booked while the broker was asked: the next look decides"
OTHERS = "the broker holds shares that no strategy of ours has: close them at the broker, or book them first"


def _being_closed(account: Account, symbol: str, live: Decimal) -> Decimal:
    """Return the shares that open orders against the broker's position may still trade."""
    side = Side.SELL if live > 0 else Side.BUY
    working = Order.objects.filter(account=account, instrument__symbol=symbol, side=side, status__in=sorted(OPEN))
    return working.aggregate(left=Sum(F("quantity") - F("filled_quantity")))["left"] or ZERO


def _close_line(
    procedure: HaltProcedure, line: Position, live: Decimal, room: Decimal, wall_now: datetime
) -> tuple[Decimal, Found]:
    name = f"{line.strategy.name}/{line.instrument.symbol}"
    kept = HaltResidue.objects.filter(procedure=procedure, kind=Kind.POSITION, name=name).first()
    row = kept or HaltResidue(
        procedure=procedure,
        kind=Kind.POSITION,
        name=name,
        symbol=line.instrument.symbol,
        strategy=line.strategy.name,
        quantity=line.quantity,
        why=Why.CLOSING,
        found_at=wall_now,
        seen_at=wall_now,
    )
    newest = _newest_try(procedure, line)
    if newest is not None and newest.status in OPEN:
        halted = TradingStatus.objects.filter(
            feed_id=procedure.account.feed_id, instrument_id=line.instrument_id, halted=True
        )
        waits_for = Why.HALTED_SYMBOL if halted.exists() else Why.CLOSING
        return room, _found(line, waits_for, f"{newest.client_order_id} is {newest.status}")
    _judge_last(row, newest)
    blocked = _blocked(procedure, row, wall_now)
    if blocked is not None:
        row.save()
        return room, _found(line, *blocked)
    shares: Decimal = min(abs(line.quantity), room, _largest_order(line))
    if shares <= 0:
        row.save()
        return room, _found(line, Why.CLOSING, "other open orders close it")
    why, detail = _try(procedure, row, line, shares, wall_now)
    return room - shares, _found(line, why, detail)


def _found(line: Position, why: str, detail: str = "") -> Found:
    symbol, strategy = line.instrument.symbol, line.strategy.name
    return Found(
        kind=Kind.POSITION,
        name=f"{strategy}/{symbol}",
        symbol=symbol,
        strategy=strategy,
        quantity=line.quantity,
        why=why,
        detail=detail,
    )


def _newest_try(procedure: HaltProcedure, line: Position) -> Order | None:
    tries = Order.objects.filter(
        account_id=line.account_id,
        strategy_id=line.strategy_id,
        instrument_id=line.instrument_id,
        origin=Origin.FLATTEN,
        source_ref=procedure.ref,
    )
    return tries.order_by("-pk").first()


def _judge_last(row: HaltResidue, newest: Order | None) -> None:
    """Count a closing order that is over: one that traded begins the count anew, one that did not is a failure."""
    if newest is None or row.judged_id == newest.pk:
        return
    row.judged_id = newest.pk
    if newest.filled_quantity > 0:
        row.failures, row.why = 0, Why.CLOSING
    else:
        row.failures, row.why = row.failures + 1, Why.REFUSED


def _blocked(procedure: HaltProcedure, row: HaltResidue, wall_now: datetime) -> tuple[str, str] | None:
    """Return why no order is made now."""
    account = procedure.account
    if row.accepted_at is not None:
        return row.why, f"accepted by {row.accepted_by}"
    if row.failures >= MOST_FAILURES:
        return row.why, _last_words(procedure, row)
    at = account.feed.market_now(wall_now)
    is_open = calendar.market_phase(at) == "open"
    if not is_open and not procedure.at_open:  # before the suspension, which is lifted only to send something
        return Why.MARKET_CLOSED, "ask again with the next open, or when it has come"
    link = BrokerLink.objects.filter(account=account).first()
    if link is not None and link.suspended:
        why = Why.CLOSING if link.suspended_by_us else Why.SUSPENDED
        return why, "the broker's suspension is being lifted" if link.suspended_by_us else "suspended by somebody else"
    if not is_open and (not auctions_are_taken(at) or -2 <= calendar.minutes_from_open(at) < 0):
        return Why.WAITS_FOR_OPEN, "orders for the opening auction are taken from 19:00 New York on"
    if row.tried_at is not None and wall_now - row.tried_at < COOL_DOWN:
        return row.why, "the next try waits a moment"
    return None


def _last_words(procedure: HaltProcedure, row: HaltResidue) -> str:
    newest = (
        Order.objects.filter(
            account=procedure.account, origin=Origin.FLATTEN, source_ref=procedure.ref, instrument__symbol=row.symbol
        )
        .filter(strategy__name=row.strategy)
        .order_by("-pk")
        .first()
    )
    said = "" if newest is None else newest.error_message or newest.status
    return f"given up after {row.failures} tries: {said}"


def _largest_order(line: Position) -> Decimal:
    """Return how many shares one order may have at most by the limits on slips of a finger; what is left comes next."""
    limits = limit_book().resolve(strategy=line.strategy.name, symbol=line.instrument.symbol).strategy
    most: Decimal = limits.max_order_quantity
    if line.current_price > 0:
        most = min(most, limits.max_order_notional * MARGIN / line.current_price)
    if line.instrument.average_daily_volume:
        most = min(most, line.instrument.average_daily_volume * limits.max_order_adv_pct / HUNDRED)
    if abs(line.quantity) <= most:
        return abs(Decimal(line.quantity))
    lot = line.instrument.lot_size or Decimal(1)
    lots: Decimal = (most / lot).to_integral_value(ROUND_FLOOR)
    return max(lots * lot, lot)


def _try(
    procedure: HaltProcedure, row: HaltResidue, line: Position, shares: Decimal, wall_now: datetime
) -> tuple[str, str]:
    """Make one closing order; its id names procedure, line and attempt, so that a crash makes no second one."""
    at_open = calendar.market_phase(procedure.account.feed.market_now(wall_now)) != "open"
    attempt = row.attempts + 1
    intent = OrderIntent(
        strategy=line.strategy.name,
        symbol=line.instrument.symbol,
        side=Side.SELL if line.quantity > 0 else Side.BUY,
        quantity=shares,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.OPG if at_open else TimeInForce.DAY,
        reduce_only=True,
        client_order_id=f"flat-{procedure.pk}-{line.pk}-{attempt}",
        origin=Origin.FLATTEN,
        source_ref=procedure.ref,
    )
    result: SubmitResult | None
    try:
        result = submit_order(intent=intent, account=procedure.account, wall_now=wall_now)
    except OrderConflict:  # made before a crash, for another number of shares
        result = None
    crashpoint(Point.HALT_AFTER_ORDER)
    row.attempts, row.tried_at, row.why = attempt, wall_now, Why.CLOSING
    detail = intent.client_order_id
    if result is not None and not result.accepted:
        row.why, row.failures = Why.DENIED, row.failures + 1
        row.judged_id = result.order.pk if result.order is not None else row.judged_id
        detail = "; ".join(denial.message for denial in result.denials)
    row.save()
    return row.why, detail
