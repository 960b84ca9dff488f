"""Which orders and positions a scope of the kill switch covers, and which of the orders add risk."""

from collections import defaultdict
from decimal import Decimal

from django.db.models import Q

from execution.models import Account, Order
from execution.reservation import reservation_of
from execution.services.journal import Journal
from execution.states import OrderStatus
from risk.models import GLOBAL_SCOPE
from risk.selectors import stop_scopes
from risk.states import SwitchLevel
from risk.stops import LADDER, Cancels
from risk.types import Origin

CLOSING = Q(origin=Origin.FLATTEN)
"""What closes under the switch; its procedure takes it back itself, and the claim stops it when there is none."""

OTHERS = Q(origin=Origin.EXTERNAL)
"""Orders of others that the book has taken in: named, and left alone unless everything was asked for."""


def covered_by(scope: str) -> Q:
    """Match the orders (or positions) that a scope covers, of any account."""
    kind, _, name = scope.partition(":")
    if scope == GLOBAL_SCOPE:
        return Q()
    if kind == "account":
        return Q(account__name=name)
    return Q(strategy__name=name) if kind == "strategy" else Q(instrument__symbol=name)


def covers_account(scope: str, account: Account) -> bool:
    """Tell whether the scope may cover something of the account."""
    return not scope.startswith("account:") or scope == account.scope


def covers(scope: str, *, account: Account, strategy: str, symbol: str) -> bool:
    """Tell whether the scope covers what the strategy has of the symbol in the account."""
    return scope in {GLOBAL_SCOPE, account.scope, f"strategy:{strategy}", f"symbol:{symbol}"}


def stopped(account: Account) -> dict[Cancels, Q]:
    """Return the condition of the account's open orders that must go: every one of a match, or those that add risk."""
    found: dict[Cancels, Q] = {}
    for scope, level in stop_scopes().concerning(account.scope).items():
        wanted, matching = LADDER[level].cancels, covered_by(scope)
        # An empty condition matches everything, and an OR with it would be the other one alone.
        found[wanted] = matching if wanted not in found else found[wanted] and matching and found[wanted] | matching
    return found


def adding(journal: Journal, orders: list[Order]) -> list[Order]:
    """Return those of the locked orders that could do more than bring their position nearer to flat.

    Orders against the position stay, oldest first, for as many shares as it has; a held leg goes with its entry. One
    that is being replaced holds nothing and is judged with the order that is to take its place.
    """
    room: dict[tuple[int, int, int], Decimal] = defaultdict(Decimal)
    for key, position in journal.positions.items():
        room[key] = abs(position.quantity)
    taken: list[Order] = []
    for order in sorted(orders, key=lambda each: each.pk):
        if order.status == OrderStatus.HELD:
            continue
        key = (order.account_id, order.strategy_id, order.instrument_id)
        held = reservation_of(order)
        shares = held.buy_quantity + held.sell_quantity
        against = journal.position(order).quantity * order.sign < 0
        if against and shares <= room[key]:
            room[key] -= shares
        else:
            taken.append(order)
    entries = {order.pk for order in taken}
    return taken + [order for order in orders if order.status == OrderStatus.HELD and order.entry_id in entries]


def cancels_of(level: str) -> Cancels:
    """Return what a level takes back."""
    return LADDER[SwitchLevel(level)].cancels
