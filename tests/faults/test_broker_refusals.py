"""What the broker refuses: the order ends with its code and words, nothing is held for it, and nobody asks again."""

from typing import Any

import pytest

from execution.emulator.faults import FaultKind
from execution.emulator.market import Listing
from execution.models import BrokerLink, Order
from execution.services.broker_identity import verify_identity
from execution.services.cancels import request_cancel
from execution.services.orders import submit_order, submit_orders
from execution.services.second_lock import keep_second_lock
from marketdata.models import Instrument
from risk.types import Side
from tests.execution.cases import assert_books_balance, position_of
from tests.factories import D, allow_bursts, make_instrument, make_intent, make_order, make_quote
from tests.faults.line import Line

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _bursts(db: None) -> None:
    allow_bursts()


def send(line: Line, name: str, **fields: Any) -> Order:
    """Send an order and hear what becomes of it."""
    make_order(line.account, client_order_id=name, **fields)
    line.dispatch()
    line.round()
    return named(name)


def named(name: str) -> Order:
    return Order.objects.get(client_order_id=name)


def holding(line: Line, quantity: str = "10") -> None:
    assert send(line, "holding", quantity=D(quantity)).status == "filled"


def list_as(line: Line, **fields: Any) -> None:
    """Let the broker list IBM in its own way; our desk knows nothing of it."""
    steered = line.emulator.venue.state.market.steered
    line.emulator.call(lambda: steered.add_listing(Listing(symbol="IBM", **fields)))
    line.emulator.tick("IBM", last=D(50), bid=D("49.99"), ask=D("50.01"))
    make_instrument("IBM")
    make_quote(line.account.feed, "IBM", last="50")


def assert_refused(line: Line, name: str, *, code: str, words: str) -> None:
    """Check that the refusal is kept, holds nothing, and stays the only time that the order was sent."""
    refused, posts = named(name), line.posts()
    assert (refused.status, refused.error_code) == ("rejected", code)
    assert words in refused.error_message
    for _ in range(2):
        line.round()
    assert line.posts() == posts
    assert name not in line.submitted()
    assert_books_balance(line.account)


def test_an_order_through_zero_is_refused_and_the_two_halves_of_it_are_taken(line: Line) -> None:
    """Case 19: the broker sells what is held, or opens a short, never both with one order."""
    holding(line)
    send(line, "through", side=Side.SELL, quantity=D(15))
    assert_refused(line, "through", code="40310000", words="insufficient qty available")
    assert send(line, "close", side=Side.SELL).status == "filled"
    assert send(line, "open", side=Side.SELL, quantity=D(5)).status == "filled"
    assert position_of(line.account).quantity == -5
    assert line.emulator.log.positions() == {"AAPL": D(-5)}


def test_shares_that_an_order_holds_are_sold_once_its_cancel_is_done(line: Line) -> None:
    """Case 20: a second sale of the same shares is refused until the cancel of the first is more than a request."""
    holding(line)
    first = send(line, "first", side=Side.SELL, order_type="limit", limit_price=D(105))
    send(line, "second", side=Side.SELL)
    assert_refused(line, "second", code="40310000", words="available: 0")
    line.goes_wrong(FaultKind.STUCK_PENDING_CANCEL, match={"client_order_id": "first"}, parameters={"seconds": 5})
    request_cancel(order=first, operator="ann", wall_now=line.wall)
    line.round()
    assert named("first").status == "pending_cancel"
    send(line, "too soon", side=Side.SELL)
    assert_refused(line, "too soon", code="40310000", words="available: 0")
    line.emulator.advance(6)
    line.round()
    assert named("first").status == "canceled"
    assert send(line, "third", side=Side.SELL).status == "filled"
    assert line.emulator.log.positions().get("AAPL", D(0)) == 0


def test_an_order_that_could_trade_with_our_own_is_refused(line: Line) -> None:
    """Case 21: "potential wash trade detected", and the order that was there first works on."""
    holding(line)
    send(line, "resting", order_type="limit", limit_price=D(99))
    send(line, "against", side=Side.SELL)
    assert_refused(line, "against", code="42210000", words="potential wash trade detected")
    assert named("resting").status == "accepted"


def test_opening_both_sides_of_a_name_is_refused(line: Line) -> None:
    """Case 21: flat, a short sale against an open buy is refused in other words."""
    send(line, "resting", order_type="limit", limit_price=D(99))
    send(line, "against", side=Side.SELL)
    assert_refused(line, "against", code="40310000", words="while a long buy order is open")


def test_an_account_suspended_by_its_owner_takes_nothing_and_is_shown_as_suspended(line: Line) -> None:
    """Case 22: somebody else's suspension ends each order, is told to people, and is not taken back by us."""
    line.emulator.call(lambda: line.emulator.venue.block(suspended=True))
    send(line, "one")
    assert_refused(line, "one", code="40310000", words="new orders are rejected by user request")
    assert keep_second_lock(account=line.account, broker=line.broker, wall_now=line.wall)
    link = BrokerLink.objects.get(account=line.account)
    assert (link.suspended, link.suspended_by_us) == (True, False)
    assert line.broker.account().suspended


@pytest.mark.parametrize("flag", ["trading_blocked", "account_blocked"])
def test_an_account_that_the_broker_has_blocked_sends_only_what_reduces(line: Line, flag: str) -> None:
    """Case 23: the flag is read with the account; from then on nothing that adds risk leaves."""
    holding(line)
    line.emulator.call(lambda: line.emulator.venue.block(**{flag: True}))
    verify_identity(account=line.account, broker=line.broker, wall_now=line.wall)
    assert BrokerLink.objects.get(account=line.account).trading_blocked
    posts = line.posts()
    assert send(line, "more").error_code == "BROKER_BLOCKED"
    assert (named("more").status, line.posts()) == ("denied", posts)
    send(line, "less", side=Side.SELL)
    assert line.posts() == posts + 1  # a broker that only liquidates would take it, this one says why not
    assert_refused(line, "less", code="40310000", words="blocked")
    line.emulator.call(lambda: line.emulator.venue.block(**{flag: False}))
    verify_identity(account=line.account, broker=line.broker, wall_now=line.wall)
    assert send(line, "again").status == "filled"


def test_a_block_that_nobody_has_read_yet_is_a_refusal(line: Line) -> None:
    """Case 23: between two looks at the account the broker itself stops the order."""
    line.emulator.call(lambda: line.emulator.venue.block(trading_blocked=True))
    send(line, "one")
    assert_refused(line, "one", code="40310000", words="trading is blocked for this account")


def test_a_short_sale_in_an_account_that_may_not_short_is_refused(line: Line) -> None:
    """Case 24: the account's own setting."""
    line.emulator.call(lambda: line.emulator.venue.block(shorting_enabled=False))
    send(line, "short", side=Side.SELL)
    assert_refused(line, "short", code="40310000", words="account is not allowed to short")


def test_a_short_sale_of_what_the_broker_cannot_borrow_is_refused(line: Line) -> None:
    """Case 24: the name is not shortable there, and we did not know."""
    list_as(line, shortable=False)
    send(line, "short", side=Side.SELL, symbol="IBM")
    assert_refused(line, "short", code="42210000", words="cannot be sold short")


def test_a_short_sale_of_what_is_known_to_be_hard_to_borrow_never_leaves(line: Line) -> None:
    """Case 24: what our own list says is asked before the broker is."""
    Instrument.objects.filter(symbol="AAPL").update(shortable=False)
    result = submit_order(intent=make_intent(side=Side.SELL), account=line.account, wall_now=line.wall)
    assert [denial.code for denial in result.denials] == ["NOT_SHORTABLE"]
    line.round()
    assert line.posts() == 0


def test_a_name_that_only_the_broker_does_not_trade_is_refused(line: Line) -> None:
    """Case 25: inactive there, tradable in our list."""
    list_as(line, tradable=False)
    send(line, "one", symbol="IBM")
    assert_refused(line, "one", code="42210000", words="not tradable")


def test_a_name_that_the_broker_does_not_know_is_refused(line: Line) -> None:
    """Case 25: a symbol that is in no list of the broker's."""
    make_instrument("GONE")
    make_quote(line.account.feed, "GONE")
    send(line, "one", symbol="GONE")
    assert_refused(line, "one", code="40010001", words="GONE")


@pytest.mark.parametrize(("symbol", "code"), [("NOSUCH", "UNKNOWN_INSTRUMENT"), ("AAPL", "NOT_TRADABLE")])
def test_a_name_that_we_do_not_trade_never_leaves(line: Line, symbol: str, code: str) -> None:
    """Case 25: unknown or switched off in our own list."""
    Instrument.objects.filter(symbol="AAPL").update(tradable=False)
    result = submit_order(intent=make_intent(symbol=symbol), account=line.account, wall_now=line.wall)
    assert code in [denial.code for denial in result.denials]
    line.round()
    assert line.posts() == 0


def test_a_market_buy_needs_more_buying_power_than_it_costs(line: Line) -> None:
    """Case 30: counted 2.5% above the ask at the broker; a limit at the same price is affordable."""
    line.emulator.call(lambda: setattr(line.emulator.venue.state.ledger, "cash", D(1_000)))  # 2,000 of buying power
    send(line, "market", quantity=D("20"))
    assert_refused(line, "market", code="40310000", words="insufficient buying power")
    assert send(line, "limit", quantity=D(19), order_type="limit", limit_price=D("100.01")).status == "filled"


def test_each_order_of_a_list_has_its_own_end(line: Line) -> None:
    """Case 36: one refused by the broker, one denied by us, the others work, and only they hold anything."""
    list_as(line, tradable=False)
    limit = {"order_type": "limit", "limit_price": D(99)}
    wanted = [
        make_intent(client_order_id="first", **limit),
        make_intent(client_order_id="denied", quantity=D(1_000_000), **limit),
        make_intent(client_order_id="refused", symbol="IBM"),
        make_intent(client_order_id="last", **limit),
    ]
    submit_orders(intents=wanted, account=line.account, wall_now=line.wall)
    for _ in wanted:
        line.dispatch()
    line.round()
    ends = dict(Order.objects.values_list("client_order_id", "status"))
    assert ends == {"first": "accepted", "denied": "denied", "refused": "rejected", "last": "accepted"}
    assert line.submitted() == ["first", "last"]
    assert position_of(line.account).open_buy_quantity == 20
    assert_books_balance(line.account)
