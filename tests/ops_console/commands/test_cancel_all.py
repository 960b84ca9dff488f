"""Cancel what is open, after saying how much it is."""

import pytest

from execution.models import Order
from execution.states import OrderStatus
from tests.factories import allow_bursts, make_account, make_instrument, make_order, make_quote
from tests.ops_console.commands.terminal import run, typing

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(settings):
    settings.TRADING_MODE = "paper"
    account = make_account(name="paper")
    allow_bursts()
    make_instrument("MSFT")
    make_quote(account.feed, "MSFT", "50")
    make_order(account)
    make_order(account, symbol="MSFT")
    return account


def open_symbols():
    return set(Order.objects.filter(status=OrderStatus.PENDING).values_list("instrument__symbol", flat=True))


def test_it_says_how_many_and_how_much_and_asks(desk, monkeypatch):
    typing(monkeypatch, "n\n")
    outcome = run("cancel_all")
    assert "paper: 2 open orders over 1,500.00 in AAPL, MSFT" in outcome.out
    assert (outcome.code, len(open_symbols())) == (1, 2)
    typing(monkeypatch, "y\n")
    assert (run("cancel_all").code, len(open_symbols())) == (0, 0)


def test_without_a_terminal_the_answer_is_no(desk, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    outcome = run("cancel_all")
    assert (outcome.code, "--yes" in outcome.err, len(open_symbols())) == (1, True, 2)


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ((), set()),
        (("--symbol", "aapl"), {"MSFT"}),
        (("--strategy", "manual"), set()),
        (("--strategy", "momentum"), {"AAPL", "MSFT"}),
    ],
)
def test_filters(desk, filters, left):
    assert run("cancel_all", "--yes", *filters).code == 0
    assert open_symbols() == left


def test_scripts_get_the_counts(desk):
    assert run("cancel_all", "--json").code == 1
    document = run("cancel_all", "--json", "--yes").document
    assert document == {"account": "paper", "canceled_unsent": 2, "cancel_requested": 0, "left_to_others": 0}
    assert run("cancel_all").out == "paper: nothing is open\n"


def test_orders_of_others_stay_unless_everything_is_to_go(desk):
    Order.objects.filter(instrument__symbol="MSFT").update(origin="external")
    outcome = run("cancel_all", "--yes")
    assert "paper: 1 open orders over 1,000.00 in AAPL; 1 orders of others stay (--everything)" in outcome.out
    assert open_symbols() == {"MSFT"}
    assert run("cancel_all", "--json", "--yes").document["left_to_others"] == 1
    assert run("cancel_all", "--everything", "--yes").code == 0
    assert open_symbols() == set()


def test_unknown_account(desk):
    assert run("cancel_all", "--account", "nope").err == "--account: there is no account 'nope'"
