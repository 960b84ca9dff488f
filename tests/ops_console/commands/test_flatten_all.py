"""Close everything from the command line: counted, asked, proved; and open orders at a clean stop."""

import pytest

from execution.models import HaltProcedure, Order
from risk.selectors import is_engaged
from tests.factories import WALL_NOW, D, allow_bursts, make_account, make_order
from tests.ops_console.commands.terminal import run, typing
from trading.management.commands.up import Command as Up
from trading.management.halt_here import cancel_before_stop

pytestmark = pytest.mark.django_db
WHY = ("--reason", "end of the experiment")


@pytest.fixture
def desk():
    allow_bursts()
    return make_account(name="paper")


def resting(desk, name="rests"):
    return make_order(desk, client_order_id=name, order_type="limit", limit_price=D(99))


def test_nothing_held_is_done_at_once(desk):
    outcome = run("flatten_all", *WHY)
    assert (outcome.code, HaltProcedure.objects.count()) == (0, 0)
    assert "0 open orders, 0 positions" in outcome.out


def test_without_a_terminal_it_is_not_confirmed(desk, monkeypatch):
    resting(desk)
    monkeypatch.setattr("sys.stdin", None)
    outcome = run("flatten_all", *WHY)
    assert (outcome.code, Order.objects.get().status) == (1, "pending")
    assert "not confirmed" in outcome.err


def test_confirmed_it_cancels_closes_and_proves_and_trading_goes_on(desk, monkeypatch):
    resting(desk)
    typing(monkeypatch, "y\n")
    outcome = run("flatten_all", "--direct", *WHY)
    assert outcome.code == 0, outcome.out + outcome.err
    assert "verified at the broker" in outcome.out
    assert (Order.objects.get().status, is_engaged("global"), is_engaged(desk.scope)) == ("canceled", False, False)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--json", *WHY), "add --yes"),
        (("--yes", "--reason", "short"), "10 to 500"),
        (("--yes", "--strategy", "a b", *WHY), "scope: got"),
    ],
)
def test_what_is_no_wish_closes_nothing(desk, options, complaint):
    outcome = run("flatten_all", *options)
    assert (outcome.code, HaltProcedure.objects.count()) == (1, 0)
    assert complaint in outcome.err


def test_185_a_clean_stop_cancels_what_is_open_when_it_is_set(desk, settings, monkeypatch):
    settings.OPEN_ORDERS_AT_STOP = "cancel"
    resting(desk)
    assert stopped(monkeypatch) == ["1 open orders canceled, verified at the broker"]
    assert (Order.objects.get().status, is_engaged("global")) == ("canceled", False)


def test_185_a_clean_stop_keeps_what_is_open_and_says_so(desk, monkeypatch):
    resting(desk)
    assert stopped(monkeypatch) == ["open orders stay open: 1 (OPEN_ORDERS_AT_STOP=keep)"]
    assert Order.objects.get().status == "pending"


def test_185_without_a_dispatcher_nothing_is_decided(desk, monkeypatch):
    resting(desk)
    assert stopped(monkeypatch, names=["web"]) == []


def test_a_stop_without_open_orders_begins_no_halt(desk):
    assert cancel_before_stop(account=desk, seconds=1, now=lambda: WALL_NOW) == "no order is open"
    assert not HaltProcedure.objects.exists()


def stopped(monkeypatch, names=("dispatcher",)):
    said = []
    monkeypatch.setattr(Up, "announce", lambda self, text: said.append(text))
    Up().settle_orders(list(names))
    return said
