"""R2: a hundred submitters at a limit with room for exactly k: k pass, each round, not one more and not one less.

Each of eight limits one step under, at, and one step over the value at which k fit. Once each where every change is
looked at; `make soak` for 200 rounds of every limit.

Every limit has its control: with the account's lock taken out of the statement the same race passes the limit (or is
stopped only by the last line, the position row's CHECK).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from threading import Barrier

import pytest
from django.db import IntegrityError, connection

from execution.gateway import statements
from execution.models import Account, Order, Position
from execution.selectors import reservation_drift
from execution.states import OrderStatus
from risk.types import OrderType
from tests.factories import allow, allow_bursts, make_account, make_instrument, make_quote, submit
from tests.faults.proofs import RecordProperty, proving, trials

pytestmark = pytest.mark.django_db(transaction=True)

SUBMITTERS = 100
D = Decimal
SYMBOLS = [f"S{number:03d}" for number in range(SUBMITTERS)]
_numbers = count(1)


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
            "max_sector_notional": wide,
            "max_daily_turnover": wide,
            "daily_loss_pct": 100,
            "weekly_loss_pct": 100,
            "intraday_loss_pct": 100,
            "drawdown_pct": 100,
        }
        | limits
    )


def same_name(number: int) -> dict[str, object]:
    """Ten shares at $100, which is $1,000; each has an id of its own, so that no unique key decides the race."""
    return {
        "quantity": D(10),
        "order_type": OrderType.LIMIT,
        "limit_price": D(100),
        "client_order_id": f"wish-{number}-{next(_numbers)}",
    }


def other_names(number: int) -> dict[str, object]:
    return {"quantity": D(1), "symbol": SYMBOLS[number]}


def at_a_loss(number: int) -> dict[str, object]:
    """Ten shares at $9 above the market, which may lose $90 at once: 0.09% of the account."""
    return same_name(number) | {"limit_price": D(109)}


@dataclass(frozen=True, slots=True)
class Room:
    """A limit at which exactly so many wishes fit, with nothing left; one step less has room for one wish less."""

    limit: str
    value: D
    step: D
    wish: Callable[[int], dict[str, object]]
    fit: int

    def at(self, steps: int) -> tuple[dict[str, str], int]:
        """Return the limit so many steps away, and how many wishes it has room for."""
        value = self.value + steps * self.step
        fit = self.fit - 1 if steps < 0 else self.fit + steps if self.step * self.fit == self.value else self.fit
        return {self.limit: str(value)}, fit


CASES = {
    "shares": Room("max_position_quantity", D(70), D(1), same_name, 7),
    "notional": Room("max_position_notional", D(5_000), D("0.01"), same_name, 5),
    "gross": Room("max_gross_notional", D(9_000), D("0.01"), same_name, 9),
    "net": Room("max_net_notional", D(4_000), D("0.01"), same_name, 4),
    "names": Room("max_names", D(6), D(1), other_names, 6),
    "daily loss": Room("daily_loss_pct", D("0.72"), D("0.0001"), at_a_loss, 8),
    "open orders": Room("max_open_orders", D(3), D(1), same_name, 3),
    "order rate": Room("max_orders_per_minute", D(11), D(1), same_name, 11),
}


def unlike(case: Room) -> Callable[[int], dict[str, object]]:
    """Return the case's wishes at prices of their own, a cent or more lower: without the lock a key would decide."""
    if case.wish is other_names:
        return other_names

    def wish(number: int) -> dict[str, object]:
        terms = case.wish(number)
        del terms["client_order_id"]
        return terms | {"limit_price": terms["limit_price"] - D(number) / 100}

    return wish


STEPS = {"one step under the limit": -1, "at the limit": 0, "one step over the limit": 1}


def race(account: Account, wish: Callable[[int], dict[str, object]]) -> int:
    """Submit from all threads at the same moment; returns how many were accepted."""
    barrier = Barrier(SUBMITTERS)

    def one(number: int) -> bool:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return submit(account, **wish(number)).accepted
        except IntegrityError:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(SUBMITTERS) as pool:
        return sum(pool.map(one, range(SUBMITTERS)))


def account_of_many_names() -> Account:
    account = make_account(starting_cash=D(100_000))
    for symbol in SYMBOLS:
        make_instrument(symbol)
        make_quote(account.feed, symbol)
    return account


def account_for(case: Room) -> Account:
    return account_of_many_names() if case.wish is other_names else make_account()


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("name", CASES)
def test_exactly_as_many_pass_as_there_is_room_for(name: str, steps: int, record_property: RecordProperty) -> None:
    case = CASES[name]
    limits, room = case.at(steps)
    lift_all_but(**limits)
    with proving(f"R2 {SUBMITTERS} submitters, {name} {steps:+d}, room for {room}", record_property) as proof:
        # A third of the rounds for each of the three values: 200 for every limit.
        for _round in range(trials(1, full=67)):
            proof.n += 1
            account = account_for(case)
            accepted = race(account, case.wish)
            proof.require(accepted == room, f"{accepted} accepted")
            stored = Order.objects.filter(account=account, status=OrderStatus.PENDING).count()
            proof.require(stored == room, f"{stored} stored")
            drift = reservation_drift(account)
            proof.require(not drift, f"reserved is not what open orders hold: {drift}")


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("shares", "order rate")])
def test_control_without_the_lock_the_limit_is_passed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "LOCK_ACCOUNT", statements.READ_ACCOUNT)
    case = CASES[name]
    limits, room = case.at(0)
    lift_all_but(**limits)
    passed = []
    for _round in range(5):
        passed.append(race(account_for(case), unlike(case)))
        if passed[-1] > room:
            return
    pytest.fail(f"the race never passed the limit of {room}: {passed}")


def test_control_without_the_lock_the_row_check_still_holds_the_share_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statements, "LOCK_ACCOUNT", statements.READ_ACCOUNT)
    case = CASES["shares"]
    limits, room = case.at(0)
    lift_all_but(**limits)
    account = make_account()
    assert race(account, unlike(case)) <= room
    position = Position.objects.get(account=account)
    assert position.open_buy_quantity <= case.value
