"""Submit orders through the gate, and preview what it would say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction

from execution.crashpoints import Point, crashpoint
from execution.errors import OrderConflict
from execution.gateway import store
from execution.gateway.book import Book
from execution.gateway.record import order_row
from execution.gateway.rows import ItemRow
from execution.identity import exact
from execution.models import Account, Order, Strategy
from execution.services.consequences import follow
from execution.signals import orders_changed
from execution.states import RETRYABLE, OrderStatus
from execution.types import SubmitResult
from marketdata.models import Instrument
from risk.gate import evaluate, warnings_of
from risk.types import Case, Denial, DenialCode, OrderIntent

ORDER_COLUMNS = [field.attname for field in Order._meta.concrete_fields]


@dataclass(frozen=True, slots=True)
class Judged:
    """One intent with its case and the gate's answer; `existing` when it is an order already."""

    intent: OrderIntent
    row: ItemRow
    key: str
    case: Case | None
    denials: list[Denial]
    attempt: int = 1
    existing: int | None = None
    same_as: int | None = None
    entry_position: int | None = None
    """Of a leg: where its entry stands in the batch."""
    warnings: list[Denial] = field(default_factory=list)


def submit_order(*, intent: OrderIntent, account: Account, wall_now: datetime) -> SubmitResult:
    """Judge and store one order; see `submit_orders`."""
    return submit_orders(intents=[intent], account=account, wall_now=wall_now)[0]


def submit_orders(*, intents: Sequence[OrderIntent], account: Account, wall_now: datetime) -> list[SubmitResult]:
    """Judge and store a batch in one transaction: limits, reservations, orders, events and decisions together.

    Each intent sees the ones before it as open orders. Nothing is sent: the dispatcher is woken at commit. The same
    wish again (same id, same idempotency key, or neither and the same wish on the same trading date) returns the first
    order. A refused intent does not stop the others. Locks: account (position rows are written under it).
    :raises OrderConflict: an id or key was used before with another body; the whole batch is undone
    """
    if not intents:
        return []
    with transaction.atomic():
        row, market_at = store.read_account(account.pk, wall_now=wall_now, lock=True)
        book = store.open_book(row, market_at=market_at, wall_now=wall_now)
        judged = _judge(book, intents)
        crashpoint(Point.GATE_BEFORE_WRITE)
        results = store_judged(book, judged)
        crashpoint(Point.GATE_BEFORE_COMMIT)
    crashpoint(Point.GATE_AFTER_COMMIT)
    return results


def preview_orders(*, intents: Sequence[OrderIntent], account: Account, wall_now: datetime) -> list[Judged]:
    """Return what the gate would say now; nothing is locked or stored, so the answer may differ a moment later."""
    if not intents:
        return []
    row, market_at = store.read_account(account.pk, wall_now=wall_now, lock=False)
    book = store.open_book(row, market_at=market_at, wall_now=wall_now)
    return _judge(book, intents)


def _judge(book: Book, intents: Sequence[OrderIntent]) -> list[Judged]:
    keys = store.keys_of(intents, book.day)
    rows = store.read_items(book, intents, keys)
    seen = _Seen()
    attempts: Counter[str] = Counter()
    judged: list[Judged] = []
    for position, (intent, key, row) in enumerate(zip(intents, keys, rows, strict=True)):
        same_as = seen.position_of(intent, key, position)
        if same_as != position:
            judged.append(Judged(intent, row, key, None, [], same_as=same_as))
            continue
        existing = existing_order(intent, row)
        if existing is not None:
            judged.append(Judged(intent, row, key, None, [], existing=existing))
            continue
        case, denials = evaluate(book.case(intent, row))
        warnings = [] if denials else warnings_of(case)
        if not denials:
            book.reserve(case)
        attempts[key] += 1
        attempt = (row.existing.attempt or 0) + attempts[key]
        judged.append(Judged(intent, row, key, case, denials, attempt, warnings=warnings))
    return judged


class _Seen:
    """The wishes of one batch so far, to tell repeated ones apart from new ones."""

    def __init__(self) -> None:
        self._wishes: dict[tuple[str, str], int] = {}
        self._names: dict[tuple[str, str], int] = {}

    def position_of(self, intent: OrderIntent, key: str, position: int) -> int:
        """Return where the wish was first said, which is `position` when it is new.

        :raises OrderConflict: its id or idempotency key was used for another wish of the batch
        """
        first = self._wishes.setdefault((key, intent.client_order_id or intent.idempotency_key), position)
        for name, value in (("client_order_id", intent.client_order_id), ("idempotency_key", intent.idempotency_key)):
            if value and self._names.setdefault((name, value), first) != first:
                raise OrderConflict(f"{name}: {value!r} stands for two different orders of the batch")
        return first


def existing_order(intent: OrderIntent, row: ItemRow) -> int | None:
    """Return the order that the wish has become before, None for a new one or one that may be tried again.

    :raises OrderConflict: its id and its idempotency key are those of two orders
    """
    found = row.existing
    if intent.client_order_id or intent.idempotency_key:
        named = {found.by_client_id, found.by_idempotency_key} - {None}
        if len(named) > 1:
            raise OrderConflict("client_order_id and idempotency key were used for two different orders")
        return next(iter(named), None)
    if found.newest_attempt is None or (found.status in RETRYABLE and not found.filled_quantity):
        return None
    return found.newest_attempt


def store_judged(book: Book, judged: Sequence[Judged]) -> list[SubmitResult]:
    """Write judged intents in one statement; one result each. Inside the transaction that holds the account."""
    new = [
        order_row(
            position=position,
            book=book,
            case=item.case,
            row=item.row,
            key=item.key,
            attempt=item.attempt,
            denials=item.denials,
            warnings=item.warnings,
            entry_position=item.entry_position,
        )
        for position, item in enumerate(judged)
        if item.case is not None
    ]
    written = iter(store.write_orders(book, new)) if new else iter(())
    fields = {row["position"]: row for row in new}
    results: list[SubmitResult] = []
    for position, item in enumerate(judged):
        if item.same_as is not None:
            first = results[item.same_as]
            results.append(SubmitResult(first.order, False, first.denials, first.decision_id))
        elif item.existing is not None:
            results.append(repeated(item.intent, item.existing))
        else:
            order_id, decision_id, stored_at = next(written)
            order = None if order_id is None else _order(book, item, fields[position], order_id, decision_id, stored_at)
            results.append(SubmitResult(order, True, item.denials, decision_id, item.warnings))
            follow(book, item.row, intent=item.intent, denials=item.denials, warnings=item.warnings)
    ids = [result.order.pk for result in results if result.order is not None and result.created]
    if ids:
        transaction.on_commit(partial(orders_changed.send_robust, Order, account_id=book.account.id, order_ids=ids))
    return results


def repeated(intent: OrderIntent, order_id: int) -> SubmitResult:
    """Return the order that was there before.

    :raises OrderConflict: it is not what is wanted now
    """
    order = Order.objects.select_related("instrument", "strategy", "decision").get(pk=order_id)
    differing = _difference(order, intent)
    if differing is not None:
        name, stored, wanted = differing
        raise OrderConflict(
            f"{name}: this id or idempotency key was used for an order with {name} {stored!r}, now {wanted!r}"
        )
    return SubmitResult(order, False, stored_denials(order), order.decision_id)


def stored_denials(order: Order) -> list[Denial]:
    """Return the gate's refusals as they were stored with the order."""
    return [
        Denial(DenialCode(item["code"]), item["message"], item["limit"], item["observed"], item["scope"])
        for item in order.decision.denials
    ]


def _difference(order: Order, intent: OrderIntent) -> tuple[str, str, str] | None:
    pairs = (
        ("strategy", order.strategy.name, intent.strategy),
        ("symbol", order.instrument.symbol, intent.symbol),
        ("side", order.side, str(intent.side)),
        ("quantity", exact(order.quantity), exact(intent.quantity)),
        ("order_type", order.order_type, str(intent.order_type)),
        ("time_in_force", order.time_in_force, str(intent.time_in_force)),
        ("limit_price", exact(order.limit_price), exact(intent.limit_price)),
        ("stop_price", exact(order.stop_price), exact(intent.stop_price)),
        ("extended_hours", str(order.extended_hours), str(intent.extended_hours)),
        ("reduce_only", str(order.reduce_only), str(intent.reduce_only)),
        ("order_class", order.order_class, intent.order_class),
        ("client_order_id", order.client_order_id, intent.client_order_id or order.client_order_id),
    )
    return next((pair for pair in pairs if pair[1] != pair[2]), None)


def _order(
    book: Book, item: Judged, row: dict[str, Any], order_id: int, decision_id: int, stored_at: datetime
) -> Order:
    """Build the order as it was written, without reading it back; its instrument and strategy know their names only."""
    intent, case = item.intent, item.case
    assert case is not None
    assert case.price is not None, "an order row is only written for a judged case with a price"
    columns: dict[str, Any] = {
        "id": order_id,
        "account_id": book.account.id,
        "strategy_id": item.row.strategy_id,
        "instrument_id": item.row.instrument_id,
        "client_order_id": row["client_order_id"],
        "intent_key": item.key,
        "attempt": row["attempt"],
        "idempotency_key": intent.idempotency_key,
        "broker_order_id": "",
        "side": str(intent.side),
        "quantity": intent.quantity,
        "order_type": str(intent.order_type),
        "time_in_force": str(intent.time_in_force),
        "limit_price": intent.limit_price,
        "stop_price": intent.stop_price,
        "extended_hours": intent.extended_hours,
        "reduce_only": intent.reduce_only,
        "origin": str(intent.origin),
        "source_ref": intent.source_ref,
        "parent_id": intent.parent_id,
        "slice_number": intent.slice_number,
        "order_class": intent.order_class,
        "leg_role": intent.leg_role,
        "entry_id": None,
        "replaces_id": intent.replaces_id,
        "cover_quantity": intent.cover_quantity,
        "total_quantity": intent.total_quantity,
        "status": OrderStatus(row["status"]),
        "filled_quantity": Decimal(0),
        "average_fill_price": None,
        "reserve_price": case.reserve_price,
        "loss_per_share": case.loss_per_share,
        "reference_price": case.price.last,
        "event_count": 1,
        "error_code": row["error_code"],
        "error_message": row["error_message"],
        "decision_id": decision_id,
        "trading_date": book.day,
        "market_at": book.market_at,
        "created_at": stored_at,
        "submitted_at": None,
        "closed_at": stored_at if item.denials else None,
        "cancel_requested_at": None,
        "cancel_sent_at": None,
    }
    # As rows that were read, because that takes a fifth of what making new objects takes; columns that are not named
    # would be fetched when somebody asks for them.
    order = Order.from_db(DEFAULT_DB_ALIAS, ORDER_COLUMNS, [columns[name] for name in ORDER_COLUMNS])
    order.instrument = Instrument.from_db(DEFAULT_DB_ALIAS, ["id", "symbol"], [item.row.instrument_id, intent.symbol])
    order.strategy = Strategy.from_db(DEFAULT_DB_ALIAS, ["id", "name"], [item.row.strategy_id, intent.strategy])
    return order
