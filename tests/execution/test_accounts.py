"""An account is opened once, with its deposit and an open breaker."""

from threading import Barrier

import pytest
from django.db import connection

from execution.models import Account, CashEntry
from execution.selectors import cash_difference
from execution.services.accounts import ensure_strategy, open_account
from risk.models import BreakerEvent
from risk.selectors import breaker_status
from risk.states import BreakerState
from tests.execution.cases import WALL_NOW, D
from tests.factories import make_feed
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def opened(**fields: object) -> Account:
    values = {
        "name": "desk",
        "mode": Account.Mode.PAPER,
        "kind": Account.Kind.DESK,
        "starting_cash": D(5_000),
        "wall_now": WALL_NOW,
    }
    return open_account(**{"feed": make_feed()} | values | fields)


def test_it_starts_with_its_deposit_and_an_open_breaker() -> None:
    account = opened()
    assert (account.cash, account.starting_cash, account.account_number) == (5_000, 5_000, "desk")
    entry = CashEntry.objects.get(account=account)
    assert (entry.kind, entry.amount, entry.reference) == ("deposit", 5_000, "opening")
    assert cash_difference(account) == 0
    assert breaker_status(account.scope, WALL_NOW).state == BreakerState.OPEN


def test_opening_again_gives_it_back_as_it_is() -> None:
    first = opened()
    second = opened(starting_cash=D(9))
    assert (second, second.cash) == (first, 5_000)
    assert CashEntry.objects.count() == 1
    assert BreakerEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("mode", "state"),
    [("paper", "clean"), ("dry_run", "clean"), ("alpaca_paper", "pending"), ("alpaca_live", "pending")],
)
def test_only_an_account_at_the_built_in_exchange_starts_reconciled(mode: str, state: str) -> None:
    account = opened(mode=mode, account_number="PA123")
    assert (account.reconciliation, account.account_number) == (state, "PA123")
    assert (account.reconciled_at is not None) == (state == "clean")


@pytest.mark.django_db(transaction=True)
def test_opened_at_once_by_many_it_is_one() -> None:
    feed, gate = make_feed(), Barrier(4)

    def run() -> int:
        connection.ensure_connection()
        gate.wait(30)
        return opened(feed=feed).pk

    answers = together(*[run] * 4)
    assert len(set(answers)) == 1
    assert isinstance(answers[0], int)
    assert CashEntry.objects.count() == 1


def test_a_strategy_is_made_once_and_kept_as_it_is() -> None:
    first = ensure_strategy(name="momentum", description="12-1", scheduled=True, capital_share=D("0.5"))
    second = ensure_strategy(name="momentum", capital_share=D("0.1"))
    second.refresh_from_db()
    assert (second, second.capital_share, second.scheduled) == (first, D("0.5"), True)
    assert str(first) == "momentum"
