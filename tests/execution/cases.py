"""Steps that many tests of the book share, and what must hold after each of them."""

from decimal import Decimal
from threading import Event
from typing import Any

from django.db import connection
from django.db.models import Sum

from execution.brokers.base import Broker
from execution.ledger import rounded
from execution.models import Account, CashEntry, Fill, Order, Position
from execution.selectors import cash_difference, quantity_differences, reservation_drift
from execution.services.dispatch import dispatch_once
from execution.services.orders import submit_order
from execution.services.reports import apply_reports
from execution.types import DispatchReport
from tests.execution.fake_broker import FakeBroker
from tests.factories import MARKET_AT, WALL_NOW, make_account, make_intent, make_order

D = Decimal


def again(order: Order) -> Order:
    """Read the order as it stands now."""
    return Order.objects.select_related("account__feed", "instrument", "strategy").get(pk=order.pk)


def dispatch(account: Account, broker: Broker, **fields: Any) -> DispatchReport:
    """Run one round of the dispatcher on a fresh copy of the account."""
    fresh = Account.objects.select_related("feed").get(pk=account.pk)
    return dispatch_once(account=fresh, broker=broker, **{"wall_now": WALL_NOW} | fields)


def recorded(account: Account, broker: Broker) -> int:
    """Take the broker's reports into the book."""
    return apply_reports(account=account, broker=broker, wall_now=WALL_NOW)


def accepted_order(account: Account, broker: Broker, **fields: Any) -> Order:
    """Make an order that the broker has accepted, and whose acceptance is in the book."""
    order = make_order(account, **fields)
    dispatch(account, broker)
    recorded(account, broker)
    return again(order)


def filled_order(account: Account, broker: FakeBroker, *, price: str = "100", **fields: Any) -> Order:
    """Make an order that was filled whole at a price."""
    order = accepted_order(account, broker, **fields)
    broker.fill(order.client_order_id, order.quantity, price)
    recorded(account, broker)
    return again(order)


def desk(**fields: Any) -> tuple[Account, FakeBroker]:
    """Make an account that may trade, and its broker."""
    return make_account(**fields), FakeBroker()


def position_of(account: Account, symbol: str = "AAPL", strategy: str = "manual") -> Position:
    """Read a position line."""
    return Position.objects.get(account=account, instrument__symbol=symbol, strategy__name=strategy)


def statuses(order: Order) -> list[str]:
    """Return the order's life, oldest first."""
    return list(order.events.order_by("sequence").values_list("to_status", flat=True))


def assert_books_balance(account: Account) -> None:
    """Check everything that holds at any committed instant: reservations, cash, shares, cost, equity."""
    assert reservation_drift(account) == []
    assert cash_difference(account) == 0
    assert quantity_differences(account) == []
    for row in Position.objects.filter(account=account):
        fills = Fill.objects.filter(account=account, strategy=row.strategy_id, instrument=row.instrument_id)
        # The ledger rounds every notional once, to its eight decimals.
        paid = sum((rounded(fill.quantity * fill.price) * (1 if fill.side == "buy" else -1) for fill in fills), D(0))
        assert row.cost_basis - row.realized_pnl == paid
        assert row.fees == sum((fill.fee for fill in fills), D(0))
        assert row.realized_pnl == sum((fill.realized_pnl for fill in fills), D(0))
    sums = Position.objects.filter(account=account).aggregate(
        *(Sum(name) for name in ("cost_basis", "realized_pnl", "dividends", "fees"))
    )
    basis, realized, dividends, fees = (
        sums[f"{name}__sum"] or D(0) for name in ("cost_basis", "realized_pnl", "dividends", "fees")
    )
    account.refresh_from_db(fields=["cash", "starting_cash"])
    # Equity is cash + value at the mark, unrealised is value at the mark - basis; the mark falls out of the identity.
    # What the broker tells of the account as a whole (a day's fees, interest) belongs to no line.
    of_account = CashEntry.objects.filter(account=account, fill__isnull=True, strategy__isnull=True)
    moved = of_account.exclude(kind__in=CashEntry.TRANSFERS).aggregate(total=Sum("amount"))["total"] or D(0)
    assert account.cash + basis == account.starting_cash + realized + dividends - fees + moved
    for order in Order.objects.filter(account=account).prefetch_related("events"):
        events = sorted(order.events.all(), key=lambda event: event.sequence)
        assert [event.sequence for event in events] == list(range(1, order.event_count + 1))
        assert [event.from_status for event in events] == ["", *(event.to_status for event in events[:-1])]
        assert events[-1].to_status == order.status
        assert events[-1].filled_quantity == order.filled_quantity
        filled = Fill.objects.filter(order=order).aggregate(total=Sum("quantity"))["total"] or D(0)
        assert order.filled_quantity == filled


def wait_until_somebody_waits() -> None:
    """Return when another transaction waits for a lock of this database."""
    pause = Event()
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        pause.wait(0.01)
    raise AssertionError("nobody waits for a lock")


__all__ = [
    "MARKET_AT",
    "WALL_NOW",
    "D",
    "FakeBroker",
    "accepted_order",
    "again",
    "assert_books_balance",
    "desk",
    "dispatch",
    "filled_order",
    "make_account",
    "make_intent",
    "make_order",
    "position_of",
    "recorded",
    "statuses",
    "submit_order",
    "wait_until_somebody_waits",
]
