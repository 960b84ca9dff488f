"""Submit orders that belong together: bracket, OCO, OTO.

A group is stored whole or denied whole. Its entry is sent with its legs; the legs are held until the broker says that
they work (`execution.services.legs`). An OCO has no entry of its own: its first order takes the profit, its leg stops
the loss, and both leave a position that is held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from execution.crashpoints import Point, crashpoint
from execution.errors import InvalidGroup, OrderConflict
from execution.gateway import store
from execution.gateway.book import Book
from execution.gateway.legs import leg_case
from execution.gateway.rows import ItemRow
from execution.identity import exact, group_client_order_id, group_key, leg_client_order_id, leg_key
from execution.models import Account, Order
from execution.models.orders import LegRole, OrderClass
from execution.services.orders import Judged, existing_order, repeated, store_judged, stored_denials
from execution.states import OrderStatus
from execution.types import SubmitResult
from risk.gate import evaluate, warnings_of
from risk.groups import check_exit_prices, check_terms
from risk.types import Case, Denial, OrderIntent, OrderType, Side

ROLES: Mapping[str, frozenset[frozenset[str]]] = {
    OrderClass.BRACKET: frozenset({frozenset({LegRole.TAKE_PROFIT, LegRole.STOP_LOSS})}),
    OrderClass.OCO: frozenset({frozenset({LegRole.STOP_LOSS})}),
    OrderClass.OTO: frozenset({frozenset({LegRole.TAKE_PROFIT}), frozenset({LegRole.STOP_LOSS})}),
}
LEG_TYPES: Mapping[str, frozenset[str]] = {
    LegRole.TAKE_PROFIT: frozenset({OrderType.LIMIT}),
    LegRole.STOP_LOSS: frozenset({OrderType.STOP, OrderType.STOP_LIMIT}),
}
SHARED = ("strategy", "symbol", "quantity", "time_in_force", "extended_hours")


def make_legs(
    entry: OrderIntent,
    *,
    take_profit: Decimal | None = None,
    stop_loss: Decimal | None = None,
    stop_loss_limit: Decimal | None = None,
) -> list[OrderIntent]:
    """Return the legs of a group by their prices: a limit, a stop, and the limit that makes it a stop-limit order.

    The stop loss of an OCO is on the side of its first order, every other leg on the other side of its entry.
    """
    opposite = Side.SELL if entry.side == Side.BUY else Side.BUY
    side = entry.side if entry.order_class == OrderClass.OCO else opposite
    plain = replace(
        entry, side=side, limit_price=None, stop_price=None, client_order_id="", idempotency_key="", reduce_only=True
    )
    legs = []
    if take_profit is not None:
        legs.append(
            replace(plain, leg_role=LegRole.TAKE_PROFIT.value, order_type=OrderType.LIMIT, limit_price=take_profit)
        )
    if stop_loss is not None or stop_loss_limit is not None:
        kind = OrderType.STOP if stop_loss_limit is None else OrderType.STOP_LIMIT
        stop = replace(plain, leg_role=LegRole.STOP_LOSS.value, order_type=kind)
        legs.append(replace(stop, stop_price=stop_loss, limit_price=stop_loss_limit))
    return legs


def submit_group(
    *, entry: OrderIntent, legs: Sequence[OrderIntent], account: Account, wall_now: datetime
) -> list[SubmitResult]:
    """Judge and store a group in one transaction: the entry to be sent, its legs held; or all of it denied.

    Returns the entry's result, then the legs', the take profit first. A leg is judged on the book after the entry's
    fill and must reduce; what denies a leg denies the group. The same group again returns the first one, as
    `submit_orders` does; legs are named after their entry. Locks: account.
    :raises InvalidGroup: a leg is missing, one too many, or does not belong to the entry
    :raises OrderConflict: an id or key was used before with another body
    """
    entry, legs = _normalized(entry, legs)
    with transaction.atomic():
        row, market_at = store.read_account(account.pk, wall_now=wall_now, lock=True)
        book = store.open_book(row, market_at=market_at, wall_now=wall_now)
        key = group_key(entry, legs, book.day)
        keys = [key, *(leg_key(key, leg.leg_role) for leg in legs)]
        rows = store.read_items(book, [entry, *_named(legs, entry.client_order_id)], keys)
        existing = existing_order(entry, rows[0])
        if existing is not None:
            return _repeated(entry, legs, existing)
        _refuse_taken_ids(rows[1:], entry.client_order_id)
        results = store_judged(book, _judged(book, entry, legs, keys, rows))
        crashpoint(Point.GROUP_BEFORE_COMMIT)
    for result in results[1:]:
        if result.order is not None:
            result.order.entry = results[0].order
    return results


def _normalized(entry: OrderIntent, legs: Sequence[OrderIntent]) -> tuple[OrderIntent, list[OrderIntent]]:
    """Return entry and legs as they are stored: exits reduce, legs carry their group's words and no names.

    :raises InvalidGroup: they do not belong together
    """
    roles = [str(leg.leg_role) for leg in legs]
    allowed = ROLES.get(entry.order_class)
    if allowed is None:
        raise InvalidGroup(f"order_class {entry.order_class!r}: one of {', '.join(OrderClass.values)}")
    if len(set(roles)) != len(roles) or frozenset(roles) not in allowed:
        wanted = " or ".join(sorted(" and ".join(sorted(each)) for each in allowed))
        raise InvalidGroup(f"legs {', '.join(roles) or 'none'}: {entry.order_class} takes {wanted}")
    is_oco = entry.order_class == OrderClass.OCO
    if is_oco and entry.order_type != OrderType.LIMIT:
        raise InvalidGroup(f"order_type {entry.order_type}: the first order of an oco is a limit order")
    for leg in legs:
        _require_belonging(entry, leg, same_side=is_oco)
    first = replace(entry, reduce_only=True) if is_oco else entry
    return first, sorted((_exit_of(entry, leg) for leg in legs), key=lambda leg: leg.leg_role, reverse=True)


def _exit_of(entry: OrderIntent, leg: OrderIntent) -> OrderIntent:
    return replace(
        leg,
        order_class=entry.order_class,
        reduce_only=True,
        idempotency_key="",
        client_order_id="",
        origin=entry.origin,
        source_ref=entry.source_ref,
    )


def _require_belonging(entry: OrderIntent, leg: OrderIntent, *, same_side: bool) -> None:
    for name in SHARED:
        ours, theirs = getattr(leg, name), getattr(entry, name)
        # A quantity that is no number equals nothing, itself included; the gate says so better.
        if ours is not theirs and ours != theirs:
            raise InvalidGroup(f"{leg.leg_role} {name} {ours}: the same as the entry's, {theirs}")
    if (leg.side == entry.side) != same_side:
        raise InvalidGroup(f"{leg.leg_role} side {leg.side}: an exit of a {entry.side} {entry.order_class} group")
    if leg.order_type not in LEG_TYPES[leg.leg_role]:
        allowed = " or ".join(sorted(LEG_TYPES[leg.leg_role]))
        raise InvalidGroup(f"{leg.leg_role} order_type {leg.order_type}: {allowed}")


def _named(legs: Sequence[OrderIntent], entry_id: str) -> list[OrderIntent]:
    if not entry_id:
        return list(legs)
    return [replace(leg, client_order_id=leg_client_order_id(entry_id, leg.leg_role)) for leg in legs]


def _refuse_taken_ids(rows: Sequence[ItemRow], entry_id: str) -> None:
    if any(row.existing.by_client_id is not None for row in rows):
        raise OrderConflict(f"client_order_id: a leg of {entry_id!r} would have the id of another order")


def _judged(
    book: Book, entry: OrderIntent, legs: Sequence[OrderIntent], keys: Sequence[str], rows: Sequence[ItemRow]
) -> list[Judged]:
    attempt = (rows[0].existing.attempt or 0) + 1
    entry_id = entry.client_order_id or group_client_order_id(entry, legs, book.day, attempt)
    case, denials = evaluate(book.case(replace(entry, client_order_id=entry_id), rows[0]))
    judged = [(case, denials), *_judged_legs(case, _named(legs, entry_id))]
    reasons = _reasons(judged)
    warnings = [] if reasons else warnings_of(case)
    if not reasons:
        book.reserve(case)
    return [
        Judged(
            each.intent,
            row,
            key,
            each,
            (own if position else []) or reasons,
            attempt,
            entry_position=0 if position else None,
            warnings=[] if position else warnings,
        )
        for position, ((each, own), row, key) in enumerate(zip(judged, rows, keys, strict=True))
    ]


def _judged_legs(entry: Case, legs: Sequence[OrderIntent]) -> list[tuple[Case, list[Denial]]]:
    """Judge the legs; those of an entry without a usable form are not judged, and are no orders either."""
    if not entry.reserve_price:
        return [(replace(entry, intent=leg), []) for leg in legs]
    return [evaluate(leg_case(entry, leg)) for leg in legs]


def _reasons(judged: Sequence[tuple[Case, list[Denial]]]) -> list[Denial]:
    """Return why the group is denied: the entry's reasons, those that only a leg has, and those of the whole."""
    (entry, denials), legs = judged[0], judged[1:]
    reasons = [*denials, *check_terms(entry.intent)]
    codes = {denial.code for denial in reasons}
    of_legs = {
        (denial.code, denial.message): replace(denial, message=f"{leg.intent.leg_role}: {denial.message}")
        for leg, found in legs
        for denial in found
        if denial.code not in codes
    }
    usable = all(case.reserve_price for case, _ in judged)
    prices = check_exit_prices(entry, [leg.intent for leg, _ in legs]) if usable else ()
    return [*reasons, *of_legs.values(), *prices]


def _repeated(entry: OrderIntent, legs: Sequence[OrderIntent], order_id: int) -> list[SubmitResult]:
    first = repeated(entry, order_id)
    assert first.order is not None
    stored = {leg.leg_role: leg for leg in first.order.legs.select_related("instrument", "strategy", "decision").all()}
    return [first, *(_repeated_leg(first, stored.get(leg.leg_role), leg) for leg in legs)]


def _repeated_leg(first: SubmitResult, stored: Order | None, leg: OrderIntent) -> SubmitResult:
    assert first.order is not None
    if stored is None and first.order.status == OrderStatus.DENIED:
        return SubmitResult(None, False, first.denials, first.decision_id)
    for name in ("order_type", "limit_price", "stop_price"):
        ours = None if stored is None else getattr(stored, name)
        theirs = getattr(leg, name)
        if _text(ours) != _text(theirs):
            raise OrderConflict(
                f"{leg.leg_role} {name}: this id or idempotency key was used for a group with {_text(ours)!r},"
                f" now {_text(theirs)!r}"
            )
    assert stored is not None, "a missing leg has no order type, so it was refused above"
    return SubmitResult(stored, False, stored_denials(stored), stored.decision_id)


def _text(value: object) -> str:
    return exact(value) if value is None or isinstance(value, Decimal) else str(value)
