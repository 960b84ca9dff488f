"""An execution whose price the venue has changed: found, told, and booked again at the new one, by people."""

from decimal import Decimal

import pytest

from execution.errors import BreakNotOpen, NothingToCorrect
from execution.models import Account, Break, BrokerMessage, Correction, Fill
from execution.reconciliation.corrections import take_back
from execution.reconciliation.deciding import repair
from execution.reconciliation.prices import change_price
from execution.services.broker_link import link_of
from tests.execution.cases import D, assert_books_balance, filled_order, position_of
from tests.execution.reconciliation.test_runs import REASON, Runs, books, runs
from tests.factories import MARKET_AT

__all__ = ["books", "runs"]
pytestmark = pytest.mark.django_db


def fresh(runs: Runs) -> Account:
    return Account.objects.select_related("feed").get(pk=runs.account.pk)


def corrected(runs: Runs, price: str) -> Fill:
    """Let the broker tell another price of the one execution."""
    link_of(runs.account)
    fill = Fill.objects.select_related("order").get()
    sequence = BrokerMessage.objects.count() + 1_000
    BrokerMessage.objects.create(
        account=runs.account,
        sequence=sequence,
        key=f"correction-{sequence}",
        source="stream",
        kind="corrected",
        client_order_id=fill.order.client_order_id,
        broker_order_id=fill.order.broker_order_id,
        broker_execution_id=fill.broker_execution_id,
        at=MARKET_AT,
        quantity=fill.quantity,
        price=D(price),
        payload={},
    )
    return fill


def change(runs: Runs, fill: Fill, price: str) -> None:
    change_price(
        account_id=runs.account.pk,
        fill_id=fill.pk,
        price=D(price),
        operator="ann",
        reason=REASON,
        wall_now=runs.wall,
    )


def costs(runs: Runs) -> tuple[Decimal, Decimal, Decimal]:
    """Return shares, what they cost less what was earned, and cash."""
    position = position_of(runs.account)
    return position.quantity, position.cost_basis - position.realized_pnl, fresh(runs).cash


def test_60_a_price_that_the_venue_has_changed_is_a_break_and_its_repair_books_it(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    assert costs(runs) == (10, 1_000, 99_000)
    corrected(runs, "99")
    runs.broker.cash = D(99_010)
    runs(2)
    row = Break.objects.get(kind="fill")
    assert (row.ours, row.theirs, row.state, runs.state) == ("100", "99", "open", "broken")
    assert "trade its shares back at 100 and again at 99" in row.proposal
    repair(break_id=row.pk, account=fresh(runs), broker=runs.broker, operator="ann", reason=REASON, wall_now=runs.wall)
    assert costs(runs) == (10, 990, 99_010)
    assert Correction.objects.count() == 2
    assert_books_balance(fresh(runs))
    assert runs(2).state == "clean"


def test_who_presses_twice_books_it_once(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    fill = corrected(runs, "99")
    runs(2)
    row = Break.objects.get(kind="fill")
    fields = {"account": fresh(runs), "broker": runs.broker, "reason": REASON, "wall_now": runs.wall}
    repair(break_id=row.pk, operator="ann", **fields)
    with pytest.raises(BreakNotOpen):
        repair(break_id=row.pk, operator="bob", **fields)
    change(runs, fill, "99")
    assert Correction.objects.count() == 2


def test_a_price_may_change_again_and_back(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    fill = corrected(runs, "99")
    for price, cost in (("99", 990), ("101.5", 1_015), ("100", 1_000)):
        change(runs, fill, price)
        assert costs(runs) == (10, cost, 100_000 - cost)
    assert_books_balance(fresh(runs))


def test_a_bust_after_it_takes_the_shares_back_at_the_price_that_they_have_by_then(runs: Runs) -> None:
    filled_order(runs.account, runs.broker)
    fill = corrected(runs, "99")
    change(runs, fill, "99")
    take_back(
        account_id=runs.account.pk, fill_id=fill.pk, quantity=D(10), operator="ann", reason=REASON, wall_now=runs.wall
    )
    assert costs(runs) == (0, 0, 100_000)
    with pytest.raises(NothingToCorrect, match="all of it was taken back"):
        change(runs, fill, "98")
    assert_books_balance(fresh(runs))


@pytest.mark.parametrize("price", ["100", "0", "-1", "NaN"])
def test_a_price_that_is_none_or_is_in_the_book_changes_nothing(runs: Runs, price: str) -> None:
    filled_order(runs.account, runs.broker)
    with pytest.raises(NothingToCorrect):
        change(runs, corrected(runs, "99"), price)
    assert not Correction.objects.exists()
