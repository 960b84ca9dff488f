"""Many submitters at a limit with room for exactly k: k pass, each round, and not one more.

Every limit has its control: with the account's lock taken out of the statement the same race passes the limit (or is
stopped only by the last line, the position row's CHECK).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import IntegrityError, connection

from execution.gateway import statements
from execution.models import Account, Order, Position
from execution.selectors import reservation_drift
from execution.states import OrderStatus
from risk.types import OrderType
from tests.factories import allow, allow_bursts, make_account, make_instrument, make_quote, submit

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 100
ROUNDS = 2
D = Decimal
SYMBOLS = [f"S{number:03d}" for number in range(THREADS)]


def lift_all_but(**limits: int | str) -> None:
    """Make every limit too wide to matter, then set the one under test."""
    allow_bursts()
    wide = 10**9
    allow(
        **{
            "max_position_quantity": wide,
            "max_position_notional": wide,
            "max_gross_notional": wide,
            "max_net_notional": wide,
            "max_order_notional": wide,
            "max_names": wide,
            "daily_loss_pct": 100,
            "weekly_loss_pct": 100,
        }
        | limits
    )


def same_name(number: int) -> dict[str, object]:
    """Ten shares for $990 to $1,000: every wish is another one, so that no unique key decides the race."""
    return {"quantity": D(10), "order_type": OrderType.LIMIT, "limit_price": D(100) - D(number) / 100}


def other_names(number: int) -> dict[str, object]:
    return {"quantity": D(1), "symbol": SYMBOLS[number]}


def at_a_loss(number: int) -> dict[str, object]:
    """A limit $8.01 to $9 above the market may lose $80 to $90 at once."""
    return {"quantity": D(10), "order_type": OrderType.LIMIT, "limit_price": D(109) - D(number) / 100}


CASES: dict[str, tuple[dict[str, int | str], Callable[[int], dict[str, object]], int]] = {
    "shares": ({"max_position_quantity": 77}, same_name, 7),
    "notional": ({"max_position_notional": 5_500}, same_name, 5),
    "gross": ({"max_gross_notional": 9_500}, same_name, 9),
    "net": ({"max_net_notional": 4_400}, same_name, 4),
    "names": ({"max_names": 6}, other_names, 6),
    "daily loss": ({"daily_loss_pct": "0.7205"}, at_a_loss, 8),
    "open orders": ({"max_open_orders": 3}, same_name, 3),
    "order rate": ({"max_orders_per_minute": 11}, same_name, 11),
}


def race(account: Account, wish: Callable[[int], dict[str, object]]) -> int:
    """Submit from all threads at the same moment; returns how many were accepted."""
    barrier = Barrier(THREADS)

    def one(number: int) -> bool:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return submit(account, **wish(number)).accepted
        except IntegrityError:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(one, range(THREADS)))


def account_of_many_names() -> Account:
    account = make_account(starting_cash=D(100_000))
    for symbol in SYMBOLS:
        make_instrument(symbol)
        make_quote(account.feed, symbol)
    return account


@pytest.mark.parametrize("name", CASES)
def test_exactly_as_many_pass_as_there_is_room_for(name: str) -> None:
    limits, wish, room = CASES[name]
    lift_all_but(**limits)
    for _round in range(ROUNDS):
        account = account_of_many_names() if wish is other_names else make_account()
        assert race(account, wish) == room
        assert Order.objects.filter(account=account, status=OrderStatus.PENDING).count() == room
        assert reservation_drift(account) == []


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("shares", "order rate")])
def test_control_without_the_lock_the_limit_is_passed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "LOCK_ACCOUNT", statements.READ_ACCOUNT)
    limits, wish, room = CASES[name]
    lift_all_but(**limits)
    passed = []
    for _round in range(5):
        account = account_of_many_names() if wish is other_names else make_account()
        passed.append(race(account, wish))
        if passed[-1] > room:
            return
    pytest.fail(f"the race never passed the limit of {room}: {passed}")


def test_control_without_the_lock_the_row_check_still_holds_the_share_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statements, "LOCK_ACCOUNT", statements.READ_ACCOUNT)
    limits, wish, room = CASES["shares"]
    lift_all_but(**limits)
    account = make_account()
    assert race(account, wish) <= room
    position = Position.objects.get(account=account)
    assert position.open_buy_quantity <= D(limits["max_position_quantity"])
