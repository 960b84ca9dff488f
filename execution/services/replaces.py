"""Change the terms of an order: judge the order that is to take its place, and let it stand in for both.

The broker gets the successor as a replacement of the original and decides; see `execution.services.successors` for what
the two mean to each other until then, and after.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from django.db import transaction
from django.db.models import Q

from execution.crashpoints import Point, crashpoint
from execution.errors import OrderConflict, ReplaceRefused
from execution.gateway import store
from execution.gateway.book import Book
from execution.gateway.record import decided, order_row
from execution.gateway.rows import ItemRow
from execution.identity import exact
from execution.models import Order, OrderEvent
from execution.pace import give_back
from execution.services.consequences import follow
from execution.services.journal import Journal
from execution.services.orders import stored_denials
from execution.services.successors import filled_before, is_successor, may_trade
from execution.signals import orders_changed
from execution.states import OPEN, OrderStatus
from execution.types import SubmitResult
from risk.gate import evaluate, warnings_of
from risk.types import Case, Denial, OrderIntent, OrderType, Origin, Side, TimeInForce

OPERATOR = OrderEvent.Source.OPERATOR
MAX_ID_LENGTH = 128
SOURCE_LENGTH = 64
NUMBERED = re.compile(r"(?P<root>.+)-R(?P<number>[1-9][0-9]*)")
WORKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
BUSY: dict[str, str] = {
    OrderStatus.SUBMITTED: "is on its way and the broker has not answered yet: try again in a moment",
    OrderStatus.PENDING_CANCEL: "is being canceled",
    OrderStatus.PENDING_REPLACE: "is being replaced already: wait for the outcome, or cancel it",
    OrderStatus.HELD: "waits for its entry to fill and takes no new terms yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """New terms of an order; what is None stays as it is.

    `quantity` is the total (shares): what the order, and those that it replaced, have filled counts against it.
    """

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllTerms:
    """Every term of an order; `quantity` is the total of its chain."""

    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: TimeInForce


def request_replace(
    *,
    order: Order,
    quantity: Decimal | None = None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    time_in_force: TimeInForce | None = None,
    client_order_id: str = "",
    idempotency_key: str = "",
    operator: str,
    origin: Origin,
    wall_now: datetime,
) -> SubmitResult:
    """Ask for new terms: returns the successor, which takes the order's place when the broker says so.

    The gate judges the successor as if the order were not there. A denied one is stored and the order stays as it is.
    An order that was never sent gives way at once. The same id or key again returns the first successor.
    Locks: account, order, position.
    :raises ReplaceRefused: the order is over, busy or part of a group, or the terms make no sense for it
    :raises OrderConflict: the id or key was used before with another body
    """
    terms = Terms(quantity=quantity, limit_price=limit_price, stop_price=stop_price, time_in_force=time_in_force)
    with transaction.atomic():
        row, market_at = store.read_account(order.account_id, wall_now=wall_now, lock=True)
        book = store.open_book(row, market_at=market_at, wall_now=wall_now)
        journal = Journal.lock(orders=Q(pk=order.pk), market_at=market_at, wall_now=wall_now)
        original = journal.orders[order.pk]
        before = _asked_before(original, terms, client_order_id, idempotency_key)
        if before is not None:
            return SubmitResult(before, False, stored_denials(before), before.decision_id)
        _refuse_status(original)
        intent = _intent(original, terms)
        intent = replace(
            intent,
            origin=origin,
            source_ref=operator[:SOURCE_LENGTH],
            client_order_id=client_order_id or successor_id(original),
            idempotency_key=idempotency_key,
        )
        result = _judge_and_store(book, journal, original, intent, operator)
        crashpoint(Point.REPLACE_BEFORE_COMMIT)
    crashpoint(Point.REPLACE_AFTER_COMMIT)
    return result


def successor_id(original: Order) -> str:
    """Return the next id in the order's chain: `X`, `X-R1`, `X-R2`; a hash where that would be too long."""
    root, number = original.client_order_id, 0
    numbered = NUMBERED.fullmatch(root) if original.replaces_id is not None else None
    if numbered is not None:
        root, number = numbered["root"], int(numbered["number"])
    name = f"{root}-R{number + original.successors.count() + 1}"
    return name if len(name) <= MAX_ID_LENGTH else hashlib.sha256(name.encode()).hexdigest()


def _asked_before(original: Order, terms: Terms, client_order_id: str, idempotency_key: str) -> Order | None:
    """Return the order that has the id or the key already.

    :raises OrderConflict: it is no successor with these terms
    """
    named = Q()
    if client_order_id:
        named |= Q(client_order_id=client_order_id)
    if idempotency_key:
        named |= Q(idempotency_key=idempotency_key)
    if not named:
        return None
    orders = Order.objects.select_related("instrument", "strategy", "decision").filter(account_id=original.account_id)
    found = list(orders.filter(named))
    if not found:
        return None
    if len(found) > 1:
        raise OrderConflict("client_order_id and idempotency key were used for two different orders")
    for name, stored, wanted in _differing(found[0], original, terms, client_order_id):
        if stored != wanted:
            raise OrderConflict(
                f"{name}: this id or idempotency key was used for an order with {name} {stored!r}, now {wanted!r}"
            )
    return found[0]


def _differing(found: Order, original: Order, terms: Terms, client_order_id: str) -> list[tuple[str, str, str]]:
    total = found.quantity if found.total_quantity is None else found.total_quantity
    wanted = _with_terms(original, terms)
    return [
        ("replaces", str(found.replaces_id), str(original.pk)),
        ("quantity", exact(total), exact(wanted.quantity)),
        ("limit_price", exact(found.limit_price), exact(wanted.limit_price)),
        ("stop_price", exact(found.stop_price), exact(wanted.stop_price)),
        ("time_in_force", found.time_in_force, str(wanted.time_in_force)),
        ("client_order_id", found.client_order_id, client_order_id or found.client_order_id),
    ]


def _refuse_status(original: Order) -> None:
    """Let pass what works at the broker, and what was never sent.

    :raises ReplaceRefused: anything else
    """
    name, status = original.client_order_id, OrderStatus(original.status)
    if status not in OPEN:
        raise ReplaceRefused(f"order {name} is {status}: it is over")
    if status in BUSY:
        raise ReplaceRefused(f"order {name} {BUSY[status]}")
    if original.order_class:
        raise ReplaceRefused(f"order {name} is part of a group ({original.order_class}): cancel it and place another")
    if original.parent_id is not None:
        raise ReplaceRefused(f"order {name} is a slice: its terms are those of the order that is worked in slices")
    if not is_successor(original):
        return
    if status not in WORKING:
        raise ReplaceRefused(f"order {name} was to replace another and is not sent yet: wait, or cancel it")
    if Order.objects.filter(successors=original, status__in=sorted(OPEN)).exists():
        raise ReplaceRefused(f"order {name} has not taken the place of the one before it yet: wait, or cancel it")


def _intent(original: Order, terms: Terms) -> OrderIntent:
    """Return the order with its new terms, and for the shares that are left of the new total.

    :raises ReplaceRefused: nothing would change, or nothing would be left
    """
    filled = original.filled_quantity + filled_before(original)
    wanted, kept = _with_terms(original, terms), _with_terms(original, Terms())
    total = wanted.quantity
    if total.is_finite() and total <= filled:
        raise ReplaceRefused(
            f"quantity {total.normalize():f} is the new total, and {filled.normalize():f} are filled: "
            "it must be more than that; to stop here, cancel the order"
        )
    intent = OrderIntent(
        strategy=original.strategy.name,
        symbol=original.instrument.symbol,
        side=Side(original.side),
        quantity=total - filled,
        order_type=OrderType(original.order_type),
        time_in_force=wanted.time_in_force,
        limit_price=wanted.limit_price,
        stop_price=wanted.stop_price,
        extended_hours=original.extended_hours,
        reduce_only=original.reduce_only,
        parent_id=original.parent_id,
        slice_number=original.slice_number,
        replaces_id=original.pk,
    )
    if wanted == kept:
        raise ReplaceRefused("nothing would change: give a new quantity, limit_price, stop_price or time_in_force")
    if original.status == OrderStatus.PENDING or not total.is_finite():
        return intent
    return replace(intent, total_quantity=total)


def _with_terms(order: Order, terms: Terms) -> AllTerms:
    """Return the order's terms with the new ones among them."""
    total = order.quantity if order.total_quantity is None else order.total_quantity
    return AllTerms(
        quantity=total if terms.quantity is None else terms.quantity,
        limit_price=order.limit_price if terms.limit_price is None else terms.limit_price,
        stop_price=order.stop_price if terms.stop_price is None else terms.stop_price,
        time_in_force=terms.time_in_force or TimeInForce(order.time_in_force),
    )


def _judge_and_store(book: Book, journal: Journal, original: Order, intent: OrderIntent, operator: str) -> SubmitResult:
    key = store.keys_of([intent], book.day)[0]
    covers = may_trade(original) if is_working(original) else None
    with transaction.atomic():  # undone when the gate refuses: then the original has never been anything else
        _give_way(journal, original, intent, operator, book.day)
        item = store.read_items(book, [intent], [key])[0]
        if item.existing.by_client_id is not None:
            raise OrderConflict(f"client_order_id: {intent.client_order_id!r} was used before, give another one")
        case, denials = evaluate(book.case(intent, replace(item, last_order_at=None)))
        if denials:
            transaction.set_rollback(True)
    crashpoint(Point.REPLACE_BEFORE_WRITE)
    return _store(book, case, item, key, denials, original, covers)


def is_working(original: Order) -> bool:
    """Tell whether the broker has the order."""
    return original.status in WORKING


def _give_way(journal: Journal, original: Order, intent: OrderIntent, operator: str, day: date) -> None:
    """Release what the original holds: for the time being when the broker has it, for good when it was never sent."""
    give_back(journal.position(original), original, day)
    journal.touch_position(journal.position(original))
    after = OrderStatus.PENDING_REPLACE if is_working(original) else OrderStatus.REPLACED
    detail = {"successor": intent.client_order_id, "quantity": exact(intent.quantity)}
    if intent.total_quantity is not None:
        detail["total"] = exact(intent.total_quantity)
    journal.step(original, after, source=OPERATOR, actor=operator, detail=detail)
    journal.save()


def _store(
    book: Book, case: Case, item: ItemRow, key: str, denials: list[Denial], original: Order, covers: Decimal | None
) -> SubmitResult:
    if not denials:
        book.reserve(case)
    held = case if denials or covers is None else _covering(case, original, covers)
    attempt = (item.existing.attempt or 0) + 1
    warnings = [] if denials else warnings_of(case)
    row = order_row(
        position=0, book=book, case=held, row=item, key=key, attempt=attempt, denials=denials, warnings=warnings
    )
    row["decided"] = decided(case, book)
    row["cap"] = str(max(Decimal(row["cap"]), _worst(held)))
    order_id, decision_id, _stored_at = store.write_orders(book, [row])[0]
    follow(book, item, intent=case.intent, denials=denials, warnings=warnings)
    if order_id is None:
        return SubmitResult(None, True, denials, decision_id)
    transaction.on_commit(partial(orders_changed.send_robust, Order, account_id=book.account.id, order_ids=[order_id]))
    stored = Order.objects.select_related("instrument", "strategy", "decision").get(pk=order_id)
    return SubmitResult(stored, True, denials, decision_id, warnings)


def _covering(case: Case, original: Order, covers: Decimal) -> Case:
    """Return the case of a successor that holds for its original too: the larger of both in shares and in price."""
    intent = case.intent
    cover = covers if covers > intent.quantity else None
    return replace(
        case,
        intent=replace(intent, cover_quantity=cover),
        reserve_price=max(case.reserve_price, original.reserve_price),
        loss_per_share=max(case.loss_per_share, original.loss_per_share),
    )


def _worst(case: Case) -> Decimal:
    """Return what the row's CHECK has to let pass: a limit lowered since may be below what the original holds."""
    intent, line = case.intent, case.book.strategy_line
    if not intent.quantity.is_finite():
        return Decimal(0)
    held = intent.cover_quantity or intent.quantity
    return abs(line.projected_quantity(intent.sign) + held * intent.sign)
