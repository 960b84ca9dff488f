"""Nothing is sent to anybody but the account that was met first."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from execution.brokers.base import BrokerAccount, BrokerError, BrokerUnavailable, WrongAccount
from execution.models import Account, BrokerLink
from execution.services.broker_identity import accept_key, mode_problem, verify_identity
from tests.execution.fake_broker import FakeBroker
from tests.factories import WALL_NOW, D, make_account

pytestmark = pytest.mark.django_db

FIRST = BrokerAccount(account_number="PA1", cash=D(1000), account_id="id-1", key_fingerprint="a" * 64, suspended=False)


@dataclass
class Answering(FakeBroker):
    told: BrokerAccount = FIRST
    error: BrokerError | None = None
    asked: int = field(default=0)

    def account(self) -> BrokerAccount:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.told


def verify(account: Account, told: BrokerAccount = FIRST) -> BrokerAccount | None:
    return verify_identity(account=account, broker=Answering(told=told), wall_now=WALL_NOW)


def problem_of(account: Account) -> str:
    return BrokerLink.objects.get(account=account).identity_problem


def test_who_answers_first_is_pinned() -> None:
    account = make_account(mode="alpaca_paper")
    assert verify(account) == FIRST
    link = BrokerLink.objects.get(account=account)
    assert (link.pinned_account_number, link.pinned_account_id, link.pinned_key) == ("PA1", "id-1", "a" * 64)
    assert (link.pinned_at, link.suspended, link.trading_blocked) == (WALL_NOW, False, False)
    account.refresh_from_db()
    assert account.account_number == "PA1"
    assert verify(account) == FIRST


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account_number": "PA2"}, "answers for account PA2; it was PA1 since 2026-03-02 12:00 UTC"),
        ({"account_id": "id-2"}, "has the id id-2; it was id-1"),
        ({"key_fingerprint": "b" * 64}, "another key is in use (SHA-256 bbbbbbbbbbbb…); it was aaaaaaaaaaaa…"),
    ],
)
def test_anybody_else_is_refused_ever_after(changes: dict[str, Any], words: str) -> None:
    account = make_account(mode="alpaca_paper")
    verify(account)
    for _ in range(2):
        with pytest.raises(WrongAccount) as refused:
            verify(account, replace(FIRST, **changes))
        assert words in refused.value.reason
        assert "\n" not in refused.value.reason
        assert refused.value.code == "wrong_account"
        assert words in problem_of(account)
    assert isinstance(refused.value, BrokerUnavailable)
    verify(account)
    assert problem_of(account) == ""


@pytest.mark.parametrize(
    ("mode", "number", "live", "words"),
    [
        ("alpaca_paper", "123456789", "", "which is no paper account (PA…)"),
        ("alpaca_live", "PA1", "123", "LIVE_TRADING_ACCOUNT is 123"),
        ("alpaca_live", "124", "123", "LIVE_TRADING_ACCOUNT is 123"),
        ("alpaca_live", "124", "", "LIVE_TRADING_ACCOUNT is not set"),
    ],
)
def test_an_account_of_another_mode_is_never_pinned(
    settings: Any, mode: str, number: str, live: str, words: str
) -> None:
    settings.LIVE_TRADING_ACCOUNT = live
    account = make_account(mode=mode)
    with pytest.raises(WrongAccount, match="mode") as refused:
        verify(account, replace(FIRST, account_number=number))
    assert words in refused.value.reason
    assert BrokerLink.objects.get(account=account).pinned_at is None
    assert words in problem_of(account)


def test_the_named_live_account_may_trade(settings: Any) -> None:
    settings.LIVE_TRADING_ACCOUNT = "123"
    assert verify(make_account(mode="alpaca_live"), replace(FIRST, account_number="123"))
    assert mode_problem(mode="alpaca_live", account_number="123", live_account="123") == ""


def test_nobody_there_is_no_answer_and_pins_nothing() -> None:
    account = make_account(mode="alpaca_paper")
    silent = Answering(error=BrokerUnavailable("the line is down", code="unreachable"))
    with pytest.raises(BrokerUnavailable, match="the line is down"):
        verify_identity(account=account, broker=silent, wall_now=WALL_NOW)
    assert not BrokerLink.objects.filter(account=account).exists()


@pytest.mark.parametrize("mode", ["paper", "dry_run"])
def test_brokers_of_this_machine_are_not_asked(mode: str) -> None:
    broker = Answering()
    assert verify_identity(account=make_account(mode=mode), broker=broker, wall_now=WALL_NOW) is None
    assert broker.asked == 0


def accept(account: Account, told: BrokerAccount) -> str:
    return accept_key(account=account, broker=Answering(told=told), operator="ann", reason="the key was renewed")


def test_a_new_key_of_the_same_account_can_be_accepted() -> None:
    account = make_account(mode="alpaca_paper")
    verify(account)
    renewed = replace(FIRST, key_fingerprint="b" * 64)
    assert accept(account, renewed) == "b" * 64
    assert verify(account, renewed) == renewed
    with pytest.raises(WrongAccount, match="another key"):
        verify(account, FIRST)


def test_a_key_of_another_account_cannot_be_accepted() -> None:
    account = make_account(mode="alpaca_paper")
    with pytest.raises(WrongAccount, match="no key is pinned yet"):
        accept(account, FIRST)
    verify(account)
    with pytest.raises(WrongAccount, match="PA2"):
        accept(account, replace(FIRST, account_number="PA2", key_fingerprint="b" * 64))
    assert BrokerLink.objects.get(account=account).pinned_key == "a" * 64
