"""I1: each order at the broker is one of ours, on the terms that we wanted, and none of ours is there twice.

The broker's own log is the truth that the book is compared with. While messages are under way the book knows less than
the log and never more; `settled` says that nothing is under way, and then both must be equal.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from execution.emulator.log import EventLog
from execution.invariants.violation import MOST, Violation
from execution.models import Account, Fill, Order, Supersession
from execution.selectors import net_quantities
from execution.states import TERMINAL, OrderStatus
from risk.types import Origin

I1, I2 = "I1", "I2"
ZERO = Decimal(0)
ENDS = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
ENTERED = (Origin.EXTERNAL, Origin.CORRECTION)
"""Orders that the reconciliation has entered: they were never sent."""
TERMS = ("side", "order_type", "time_in_force", "limit_price", "stop_price")


@dataclass(frozen=True, slots=True)
class _Books:
    """Both sides: our orders by id, by the broker's id and by our name, and what the log says was taken."""

    account: Account
    log: EventLog
    by_broker_id: Mapping[str, Order]
    by_client_id: Mapping[str, Order]
    taken: Mapping[str, Mapping[str, Any]]
    made_by_broker: frozenset[str]
    resized: Mapping[str, Decimal]
    """The newest quantity (shares) of each leg that the broker made smaller as the other one had filled in part."""

    def ours(self, order_id: str) -> Order | None:
        """Return our order that the broker's order is, by its id or by the name that we gave."""
        return self.by_broker_id.get(order_id) or self.by_client_id.get(self.taken[order_id]["client_order_id"])


def check_broker_log(account: Account, log: EventLog, *, settled: bool = True) -> list[Violation]:
    """Compare orders, executions, and where all is settled ends, shares and cash, with the broker's own log."""
    books = _read(account, log)
    violations = [*_strangers(books, settled=settled), *_doubles(books), *_terms(books), *_inventions(books)]
    violations += _executions(books, settled=settled)
    if settled:
        violations += [*_ends(books), *_shares_and_cash(books)]
    return violations


def _read(account: Account, log: EventLog) -> _Books:
    orders = list(Order.objects.filter(account=account).select_related("instrument"))
    entries = log.account_entries()
    split = {entry.data["by"] for entry in entries if entry.kind == "replaced" and "reason" in entry.data}
    return _Books(
        account=account,
        log=log,
        by_broker_id={order.broker_order_id: order for order in orders if order.broker_order_id},
        by_client_id={order.client_order_id: order for order in orders},
        taken={entry.data["order_id"]: entry.data for entry in entries if entry.kind == "submitted"},
        made_by_broker=frozenset(split),
        resized={entry.data["order_id"]: entry.data["quantity"] for entry in entries if entry.kind == "resized"},
    )


def _strangers(books: _Books, *, settled: bool) -> list[Violation]:
    """Find orders that the broker took as ours and that we did not want. The broker names legs itself, and answers."""
    found = []
    for order_id, data in books.taken.items():
        if order_id in books.made_by_broker or books.ours(order_id) is not None:
            continue
        if not settled and data.get("parent_id") in books.taken:
            continue  # a leg whose name is under way
        found.append(Violation(I1, f"broker order {order_id}", f"{data['client_order_id']} is no order of ours"))
    return found[:MOST]


def _doubles(books: _Books) -> list[Violation]:
    times = Counter(order.pk for order_id in books.taken if (order := books.ours(order_id)) is not None)
    return [Violation(I1, f"order {pk}", f"{n} orders at the broker are this one") for pk, n in times.items() if n > 1]


def _terms(books: _Books) -> list[Violation]:
    found = []
    for order_id, data in books.taken.items():
        order = books.ours(order_id)
        if order is None:
            continue
        total = order.quantity if order.total_quantity is None else order.total_quantity
        wanted = {"symbol": order.instrument.symbol, "quantity": total} | {name: getattr(order, name) for name in TERMS}
        other = {name: (value, data[name]) for name, value in wanted.items() if value != data[name]}
        if other:
            told = ", ".join(f"{name} {ours} and {theirs}" for name, (ours, theirs) in other.items())
            found.append(Violation(I1, f"order {order.pk}", f"ours and the broker's differ: {told}"))
    return found[:MOST]


def _inventions(books: _Books) -> list[Violation]:
    """Find orders of which the book says the broker has them and it has not, or has them as another one."""
    found = []
    for order_id, order in books.by_broker_id.items():
        data = books.taken.get(order_id)
        if order.origin in ENTERED:
            continue
        if data is None:
            found.append(Violation(I1, f"order {order.pk}", f"the broker never took {order_id}"))
        elif not order.leg_role and data["client_order_id"] != order.client_order_id:
            told = f"the broker's {order_id} is {data['client_order_id']}"
            found.append(Violation(I1, f"order {order.pk}", told))
    return found[:MOST]


def _executions(books: _Books, *, settled: bool) -> list[Violation]:
    """Compare executions one by one; one that came after its shares were inferred has taken the inferred fill's place.

    What the reconciliation has entered itself is no execution, and orders of others that it has taken in have some.
    """
    fills = Fill.objects.filter(account=books.account, inference__isnull=True)
    fills = fills.exclude(order__origin__in=ENTERED, order__broker_order_id="")
    placed = Supersession.objects.filter(inferred__order__account=books.account)
    named = ("broker_execution_id", "quantity", "price")
    ours = _summed(
        [
            *fills.values_list("order__broker_order_id", "side", *named),
            *placed.values_list("inferred__order__broker_order_id", "inferred__order__side", *named),
        ]
    )
    theirs = _summed((f.order_id, str(f.side), f.execution_id, f.quantity, f.price) for f in books.log.fills())
    found = [
        Violation(I1, f"execution {key[2]}", f"booked as {shares} at {key[3]} ({key[1]}), at the broker {theirs[key]}")
        for key, shares in ours.items()
        if theirs[key] != shares
    ]
    if settled:
        found += [
            Violation(I1, f"execution {key[2]}", f"{shares} at {key[3]} ({key[1]}) at the broker, not booked")
            for key, shares in theirs.items()
            if not ours[key]
        ]
    return found[:MOST]


def _summed(rows: Iterable[tuple[str, str, str, Decimal, Decimal]]) -> dict[tuple[str, str, str, Decimal], Decimal]:
    """Return the shares of each execution: order, side, id and price."""
    shares: dict[tuple[str, str, str, Decimal], Decimal] = defaultdict(Decimal)
    for order_id, side, execution_id, quantity, price in rows:
        shares[order_id, side, execution_id, price.normalize()] += quantity
    return shares


def _ends(books: _Books) -> list[Violation]:
    found = []
    statuses = books.log.orders()
    for order_id in books.taken:
        order, theirs = books.ours(order_id), statuses[order_id]
        if order is None:
            continue
        if not order.broker_order_id:
            told = f"is {order.status} without the broker's id, there it is {theirs}"
            found.append(Violation(I1, f"order {order.pk}", told))
        elif not _same_end(order, theirs, resized=books.resized.get(order_id)):
            found.append(Violation(I1, f"order {order.pk}", f"is {order.status}, at the broker {theirs}"))
    return found[:MOST]


def _same_end(order: Order, theirs: str, *, resized: Decimal | None) -> bool:
    """Tell whether both sides say the same; a late fill that makes an order whole changes its end in the book alone."""
    ours = OrderStatus(order.status)
    if theirs not in ENDS:
        return ours not in TERMINAL
    if ours == theirs or ours == OrderStatus.FILLED:
        return True
    # A successor whose total its original has reached, and a leg that was made smaller: the broker calls them filled.
    is_smaller_there = order.total_quantity is not None or order.filled_quantity == resized
    return ours == OrderStatus.CANCELED and theirs == "filled" and is_smaller_there


def _shares_and_cash(books: _Books) -> list[Violation]:
    ours, theirs = net_quantities(books.account), books.log.positions()
    found = [
        Violation(I2, f"shares of {symbol}", f"{ours.get(symbol, ZERO)} here, {theirs.get(symbol, ZERO)} at the broker")
        for symbol in sorted({*ours, *theirs})
        if ours.get(symbol, ZERO) != theirs.get(symbol, ZERO)
    ]
    row = Account.objects.values("cash", "starting_cash").get(pk=books.account.pk)
    moved, there = row["cash"] - row["starting_cash"], books.log.cash_moved()
    if moved != there:
        found.append(Violation(I2, f"account {books.account.name}", f"cash moved by {moved} here, {there} there"))
    return found
