"""Executions in every order and shape: what truly happened at the broker is in the book once, at its own price."""

from contextlib import closing
from dataclasses import replace as dataclass_replace
from datetime import timedelta
from typing import Any

import pytest

from execution.brokers.alpaca.crosscheck import AlpacaReads
from execution.brokers.alpaca.line import Line as RestLine
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.venue.life import force_fill
from execution.matching.commission import FeeSchedule, RegulatoryFees
from execution.models import BrokerMessage, CashEntry, Fill, Order
from execution.selectors import net_quantities
from execution.services.cancels import request_cancel
from execution.services.cross_check import CrossCheck
from execution.services.orders import submit_order
from execution.services.replaces import request_replace
from execution.states import OPEN
from marketdata.models import Instrument
from risk.types import Origin, Side
from tests.execution.brokers.alpaca.emulated import configuration_at
from tests.execution.cases import assert_books_balance, position_of
from tests.factories import D, allow_bursts, make_intent, make_order, make_strategy
from tests.faults.line import Line

pytestmark = pytest.mark.django_db
K = FaultKind
LIMIT = {"order_type": "limit", "limit_price": D(99)}


@pytest.fixture(autouse=True)
def _bursts(db: None) -> None:
    allow_bursts()


def send(line: Line, name: str, **fields: Any) -> Order:
    """Send an order and hear what becomes of it."""
    make_order(line.account, client_order_id=name, **fields)
    hear(line)
    return named(name)


def hear(line: Line) -> None:
    """Let a second pass at the broker and in the dispatcher."""
    line.emulator.advance(1)
    line.round()


def named(name: str) -> Order:
    return Order.objects.get(client_order_id=name)


def goes_wrong(line: Line, kind: FaultKind, name: str = "", **parameters: Any) -> None:
    match = {"client_order_id": name} if name else {}
    line.emulator.faults.add(Fault(kind=kind, match=match, parameters=parameters))


def price(line: Line, last: str, *, volume: str = "100000") -> None:
    """Move the market a second on."""
    line.emulator.advance(1)
    line.emulator.tick("AAPL", last=D(last), bid=D(last) - D("0.01"), ask=D(last) + D("0.01"), volume=D(volume))
    hear(line)


def cancel(line: Line, name: str) -> None:
    request_cancel(order=named(name), operator="ann", wall_now=line.wall)
    for _ in range(3):
        hear(line)


def assert_equal_to_the_broker(line: Line) -> None:
    """Compare shares, cash and every order's executions with the broker's own log."""
    log = line.emulator.log
    assert net_quantities(line.account) == log.positions()
    line.account.refresh_from_db()
    assert line.account.cash - line.account.starting_cash == log.cash_moved()
    theirs = sorted((fill.client_order_id, fill.execution_id, fill.quantity, fill.price) for fill in log.fills())
    ours = Fill.objects.values_list("order__client_order_id", "broker_execution_id", "quantity", "price")
    assert sorted(ours) == theirs
    assert_books_balance(line.account)


def test_one_execution_id_on_two_orders_is_two_executions(line: Line) -> None:
    """Case 45: an execution is known by its order and its id; neither shares nor money of the second are lost."""
    goes_wrong(line, K.SAME_EXECUTION_ID, "second")
    send(line, "first", quantity=D(10))
    send(line, "second", quantity=D(4))
    assert len(set(Fill.objects.values_list("broker_execution_id", flat=True))) == 1
    assert (named("first").status, named("second").status) == ("filled", "filled")
    assert CashEntry.objects.filter(kind="trade").count() == 2
    assert_equal_to_the_broker(line)


@pytest.mark.parametrize(("quantity", "status"), [("4", "canceled"), ("10", "filled")])
def test_an_execution_after_the_cancel_is_booked_and_nothing_stays_held(line: Line, quantity: str, status: str) -> None:
    """Case 48: canceled first, executed then: partly the order stays canceled, wholly it is filled after all."""
    send(line, "late", **LIMIT)
    goes_wrong(line, K.LATE_FILL, "late", quantity=quantity, seconds=30)
    cancel(line, "late")
    assert (named("late").status, position_of(line.account).open_buy_quantity) == ("canceled", 0)
    line.emulator.advance(30)
    line.round()
    assert (named("late").status, named("late").filled_quantity) == (status, D(quantity))
    assert statuses(named("late"))[-2:] == ["canceled", status]
    assert position_of(line.account).open_buy_quantity == 0
    assert_equal_to_the_broker(line)


def statuses(order: Order) -> list[str]:
    return list(order.events.order_by("sequence").values_list("to_status", flat=True))


@pytest.mark.parametrize(
    ("quantity", "original", "successor"), [("4", "replaced", "filled"), ("10", "filled", "canceled")]
)
def test_an_execution_of_a_replaced_original_is_booked_beside_its_successors(
    line: Line, quantity: str, original: str, successor: str
) -> None:
    """Case 49: the original executes after it was replaced; where that reaches the total, nothing is bought twice."""
    send(line, "one", **LIMIT)
    goes_wrong(line, K.LATE_FILL_ON_REPLACED, "one", quantity=quantity, seconds=30)
    replace(line, "one", client_order_id="two", limit_price=D("99.5"))
    for _ in range(2):
        hear(line)
    assert named("one").status == "replaced"
    line.emulator.advance(30)
    line.round()
    assert (named("one").status, named("one").filled_quantity) == (original, D(quantity))
    for _ in range(2):
        hear(line)
    price(line, "99.2")
    assert named("two").status == successor
    assert not Order.objects.filter(status__in=OPEN).exists()
    assert line.broker.open_orders() == []
    assert_equal_to_the_broker(line)


def replace(line: Line, name: str, **terms: Any) -> None:
    result = request_replace(order=named(name), operator="ann", origin=Origin.COMMAND, wall_now=line.wall, **terms)
    assert result.accepted, result.denials


def test_one_execution_through_zero_closes_at_cost_and_opens_at_its_own_price(line: Line) -> None:
    """Case 51: the broker nets two strategies, so one of them may flip; each keeps its own result."""
    make_strategy("other")
    send(line, "mine", quantity=D(10))
    send(line, "theirs", quantity=D(20), strategy="other")
    price(line, "103")
    send(line, "flip", side=Side.SELL, quantity=D(25))
    paid, got = fill_of("mine").price, fill_of("flip").price
    lot = position_of(line.account)
    assert (lot.quantity, lot.cost_basis, lot.realized_pnl) == (-15, -15 * got, 10 * (got - paid))
    assert position_of(line.account, strategy="other").quantity == 20
    assert line.emulator.log.positions() == {"AAPL": D(5)}
    assert_equal_to_the_broker(line)


def fill_of(name: str) -> Fill:
    return Fill.objects.get(order__client_order_id=name)


def test_a_reduce_only_sale_that_executes_when_flat_is_what_the_broker_holds(line: Line) -> None:
    """Case 52: Alpaca knows no reduce-only, so the late execution is a short there; the book says so, and mends it."""
    send(line, "in", quantity=D(10))
    send(line, "slow", side=Side.SELL, reduce_only=True, order_type="limit", limit_price=D(105))
    goes_wrong(line, K.LATE_FILL, "slow", quantity="4", seconds=30)
    cancel(line, "slow")
    sold = send(line, "out", side=Side.SELL, reduce_only=True)
    line.emulator.advance(30)
    line.round()
    assert (sold.status, named("slow").status, named("slow").filled_quantity) == ("filled", "canceled", 4)
    assert position_of(line.account).quantity == -4
    assert_equal_to_the_broker(line)
    again = submit_order(
        intent=make_intent(side=Side.SELL, reduce_only=True, quantity=D(1)), account=line.account, wall_now=line.wall
    )
    assert "REDUCE_ONLY" in [denial.code for denial in again.denials]
    send(line, "mend", quantity=D(4), reduce_only=True)
    assert position_of(line.account).quantity == 0
    assert_equal_to_the_broker(line)


def test_what_is_left_of_a_lot_can_be_sold(line: Line) -> None:
    """Case 53: a cancel leaves less than a lot; the whole of it may be sold, and nothing else that is no lot."""
    Instrument.objects.filter(symbol="AAPL").update(lot_size=D(100))
    send(line, "lot", quantity=D(100), order_type="limit", limit_price=D("99.90"))
    price(line, "99.80", volume="37")
    cancel(line, "lot")
    price(line, "99.80")
    assert (named("lot").status, position_of(line.account).quantity) == ("canceled", 37)
    part = submit_order(intent=make_intent(side=Side.SELL, quantity=D(36)), account=line.account, wall_now=line.wall)
    assert [denial.code for denial in part.denials] == ["INVALID_QUANTITY"]
    assert send(line, "rest", side=Side.SELL, quantity=D(37)).status == "filled"
    assert position_of(line.account).quantity == 0
    assert_equal_to_the_broker(line)


def test_a_day_order_that_was_filled_in_part_ends_with_the_session(line: Line) -> None:
    """Case 54: its executions stay, what was held for the rest is released."""
    send(line, "part", quantity=D(30), order_type="limit", limit_price=D("99.90"))
    price(line, "99.80", volume="12")
    assert named("part").status == "partially_filled"
    assert position_of(line.account).open_buy_quantity == 18
    price(line, "101")
    line.emulator.advance(6 * 3600)
    line.round()
    assert (named("part").status, named("part").filled_quantity) == ("expired", 12)
    lot = position_of(line.account)
    assert (lot.quantity, lot.open_buy_quantity, lot.open_buy_notional, lot.reserved_loss) == (12, 0, 0, 0)
    assert_equal_to_the_broker(line)


@pytest.mark.parametrize(("time_in_force", "filled"), [("ioc", "7"), ("fok", "0")])
def test_an_order_for_this_moment_is_canceled_with_what_it_got(line: Line, time_in_force: str, filled: str) -> None:
    """Case 55: immediate or cancel keeps its part, fill or kill gets all or nothing."""
    line.emulator.tick("AAPL", last=D(100), bid=D("99.99"), ask=D("100.01"), volume=D(7))
    send(line, "now", order_type="limit", limit_price=D(101), time_in_force=time_in_force)
    hear(line)
    assert (named("now").status, named("now").filled_quantity) == ("canceled", D(filled))
    lot = position_of(line.account)
    assert (lot.quantity, lot.open_buy_quantity, lot.open_buy_notional) == (D(filled), 0, 0)
    assert_equal_to_the_broker(line)


def test_an_average_of_zero_is_never_used(line: Line) -> None:
    """Case 57: whatever the broker says of the average, ours is that of the executions, and so is the result."""
    line.emulator.faults.add(Fault(kind=K.ZERO_AVERAGE_PRICE, times=None))
    send(line, "in", quantity=D(10))
    told = line.broker.find("in")
    assert told is not None
    assert (told.filled_quantity, told.average_fill_price) == (10, None)
    price(line, "104")
    send(line, "out", side=Side.SELL)
    line.round()
    assert named("in").average_fill_price == fill_of("in").price > 99
    assert position_of(line.account).realized_pnl == 10 * (fill_of("out").price - fill_of("in").price) > 0
    assert_equal_to_the_broker(line)


def test_times_are_the_brokers_and_are_compared_with_no_others(line: Line) -> None:
    """Case 62: the broker's clock is years away from ours; what is stored is its instant, to the microsecond."""
    send(line, "one", quantity=D(10))
    [logged] = line.emulator.log.fills()
    fill = fill_of("one")
    assert fill.executed_at == logged.at
    assert abs(line.wall - fill.executed_at) > timedelta(days=365)
    assert fill.trading_date.isoformat() == "2012-06-14"
    assert BrokerMessage.objects.get(kind="fill").at == logged.at


@pytest.mark.parametrize("shuffled", [True, False])
def test_executions_of_one_instant_are_booked_in_the_order_of_the_orders_shares(line: Line, shuffled: bool) -> None:
    """Case 61: REST lists them in any order within a millisecond, over several pages; the book has them in theirs."""
    send(line, "parts", quantity=D(15), **LIMIT)
    state = line.emulator.venue.state
    line.emulator.call(state.listeners.clear)  # REST alone tells

    def execute() -> None:
        order, at = state.orders.by_client_id("parts"), state.moment()
        for number in range(1, 6):
            force_fill(state, order, D(number), at, D(99) - D(number) / 10)

    line.emulator.call(execute)
    if shuffled:
        line.emulator.faults.add(Fault(kind=K.ACTIVITIES_SHUFFLED, times=None))
    with closing(RestLine(configuration_at(line.emulator))) as rest:
        check = CrossCheck(account_id=line.account.pk, reader=AlpacaReads(rest, page_size=2))
        told = check.round(wall_now=line.wall).rows
    assert [row.cumulative_quantity for row in told] == [1, 3, 6, 10, 15]
    line.round()
    assert named("parts").status == "filled"
    assert [fill.quantity for fill in Fill.objects.order_by("pk")] == [1, 2, 3, 4, 5]
    assert_equal_to_the_broker(line)


def test_what_the_broker_charges_at_the_end_of_the_day_changes_no_execution(line: Line) -> None:
    """Case 59: the day's fees are activities of their own and not booked: cash differs by them, and by nothing else."""
    state = line.emulator.venue.state
    fees = FeeSchedule(regulatory=RegulatoryFees(sec_rate=D("0.0000278"), taf_per_share=D("0.000166")))
    line.emulator.call(lambda: setattr(state, "settings", dataclass_replace(state.settings, fees=fees)))
    send(line, "in", quantity=D(10))
    price(line, "103")
    send(line, "out", side=Side.SELL, quantity=D(10))
    line.emulator.advance(6 * 3600)
    line.round()
    [charged] = line.emulator.log.entries(kind="fee")
    assert -1 < charged.data["cash"] < 0
    line.account.refresh_from_db()
    moved = line.account.cash - line.account.starting_cash
    assert moved == position_of(line.account).realized_pnl == line.emulator.log.cash_moved() - charged.data["cash"]
    assert not CashEntry.objects.filter(kind="fee").exists()
    assert_books_balance(line.account)
