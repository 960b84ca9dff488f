"""What a broker tells and the book cannot take: kept whole, the name frozen, nothing leaves until both books agree."""

from datetime import timedelta
from typing import Any

import pytest

from execution.emulator.faults import Fault, FaultKind
from execution.models import Account, Break, BrokerMessage, Fill, Order, RefusedReport
from execution.selectors import net_quantities
from execution.services.orders import submit_order
from execution.services.recovery import recover_account
from risk.models import Alert, RestrictedInstrument
from risk.types import Side
from tests.execution.cases import assert_books_balance, position_of
from tests.execution.updates.line_cases import Desk, until
from tests.factories import D, allow_bursts, make_instrument, make_intent, make_order, make_quote
from tests.faults.line import Line

K = FaultKind
OTHERS: dict[str, Any] = {"symbol": "AAPL", "qty": "5", "side": "buy", "type": "market", "time_in_force": "day"}


@pytest.fixture(autouse=True)
def _bursts(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("transactional_db" if "desk" in request.fixturenames else "db")
    allow_bursts()


def send(line: Line, name: str, **fields: Any) -> Order:
    """Send an order and hear what becomes of it."""
    make_order(line.account, client_order_id=name, **fields)
    for _ in range(2):
        line.emulator.advance(1)
        line.round()
    return Order.objects.get(client_order_id=name)


def by_somebody_else(line: Line | Desk, **fields: Any) -> None:
    """Let somebody enter an order in the same account by hand."""
    from execution.alpaca_wire.orders import read_order

    line.emulator.call(lambda: line.emulator.venue.external_order(read_order(OTHERS | fields)))
    line.emulator.call(lambda: line.emulator.venue.pump(line.emulator.venue.state.clock.now()))


def state_of(line: Line) -> str:
    return Account.objects.get(pk=line.account.pk).reconciliation


def look_again(line: Line) -> str:
    """Compare with the broker as the dispatcher does while the account is broken."""
    account = Account.objects.select_related("feed").get(pk=line.account.pk)
    recover_account(account=account, broker=line.broker, wall_now=line.wall)
    return state_of(line)


def denials(line: Line, **fields: Any) -> set[str]:
    account = Account.objects.select_related("feed").get(pk=line.account.pk)
    wish = make_intent(**{"quantity": D(7)} | fields)
    result = submit_order(intent=wish, account=account, wall_now=line.wall)
    return {denial.code.value for denial in result.denials}


def frozen() -> list[str]:
    names = RestrictedInstrument.objects.filter(lifted_at=None).values_list("instrument__symbol", flat=True)
    return sorted(names)


@pytest.mark.django_db
def test_more_than_was_ordered_is_kept_and_closes_the_account_until_the_shares_are_gone(line: Line) -> None:
    """Case 50: the execution is refused whole, its name frozen, the account closed; when both agree, it opens."""
    line.emulator.faults.add(Fault(kind=K.OVERFILL, parameters={"quantity": "3"}))
    order = send(line, "over", quantity=D(10))
    refused = RefusedReport.objects.get()
    assert (refused.reason, refused.payload["quantity"]) == ("overfill: 13 of 10", "13.00000000")
    assert BrokerMessage.objects.get(kind="fill").payload["order"]["filled_qty"] == "13"
    assert (order.filled_quantity, net_quantities(line.account)) == (0, {})
    assert line.emulator.log.positions() == {"AAPL": D(13)}
    assert (frozen(), state_of(line)) == (["AAPL"], "broken")
    assert denials(line, symbol="AAPL") >= {"RESTRICTED", "RECONCILIATION_PENDING"}
    assert look_again(line) == "broken"
    for _ in range(2):
        line.wall += timedelta(seconds=20)
        assert look_again(line) == "broken"
    assert {(row.kind, row.state) for row in Break.objects.all()} == {("fill", "open"), ("position", "open")}
    Account.objects.filter(pk=line.account.pk).update(strangers="quarantine")
    by_somebody_else(line, side="sell", qty="13")
    line.round()
    assert frozen() == ["AAPL"]  # until a person lifts it
    assert_books_balance(line.account)


@pytest.mark.django_db
def test_an_execution_that_nobody_of_ours_ordered_is_adopted(line: Line) -> None:
    """Case 58: by hand or another program: in the book under EXTERNAL, told, and nobody is kept from trading."""
    make_instrument("MSFT")
    make_quote(line.account.feed, "MSFT")
    by_somebody_else(line)
    line.round()
    fill = Fill.objects.get()
    assert (fill.strategy.name, fill.order.origin, fill.order.status) == ("EXTERNAL", "external", "filled")
    assert (net_quantities(line.account), line.emulator.log.positions()) == ({"AAPL": D(5)}, {"AAPL": D(5)})
    assert (frozen(), state_of(line), RefusedReport.objects.count()) == ([], "clean", 0)
    assert Alert.objects.get().code == "external_order"
    assert look_again(line) == "clean"
    assert denials(line, symbol="MSFT") == set()
    assert_books_balance(line.account)


@pytest.mark.django_db
def test_in_quarantine_an_execution_that_nobody_of_ours_ordered_closes_the_account(line: Line) -> None:
    """Case 120: who wants no strangers in the book gets the account closed instead, until the shares are gone."""
    Account.objects.filter(pk=line.account.pk).update(strangers="quarantine")
    by_somebody_else(line)
    line.round()
    assert {report.reason for report in RefusedReport.objects.all()} == {"unknown_order"}
    assert not Fill.objects.exists()
    assert (frozen(), state_of(line)) == (["AAPL"], "broken")
    for _ in range(3):
        line.wall += timedelta(seconds=20)
        assert look_again(line) == "broken"
    assert Break.objects.get().state == "open"
    by_somebody_else(line, side="sell")
    line.round()
    assert look_again(line) == "clean"
    assert Break.objects.get().state == "gone"
    assert_books_balance(line.account)


@pytest.mark.django_db
def test_an_order_of_somebody_else_that_trades_nothing_holds_its_room_and_is_left_alone(line: Line) -> None:
    """Case 58: an open order may fill, so it counts against the account's limits; nobody cancels it."""
    by_somebody_else(line, type="limit", limit_price="90")
    line.round()
    adopted = Order.objects.get()
    assert (adopted.strategy.name, adopted.status, adopted.limit_price) == ("EXTERNAL", "accepted", 90)
    assert position_of(line.account, strategy="EXTERNAL").open_buy_quantity == 5
    assert (frozen(), state_of(line)) == ([], "clean")
    assert send(line, "ours", quantity=D(10)).status == "filled"
    assert not line.emulator.log.entries(kind="canceled")


@pytest.mark.django_db
def test_an_execution_that_the_venue_takes_back_is_not_booked_by_itself(line: Line) -> None:
    """Case 60: told, kept, frozen and closed; the correction is a person's, the book stays as it was."""
    send(line, "one", quantity=D(10))
    [fill] = line.emulator.log.fills()
    before = line.account.cash
    line.emulator.call(lambda: line.emulator.venue.bust(fill.execution_id))
    line.round()
    refused = RefusedReport.objects.get()
    assert refused.reason == "correction: trade_bust"
    assert (refused.payload["kind"], refused.payload["broker_execution_id"]) == ("corrected", fill.execution_id)
    assert (position_of(line.account).quantity, line.emulator.log.positions()) == (10, {})
    assert (frozen(), state_of(line), look_again(line)) == (["AAPL"], "broken", "broken")
    assert line.account.cash == before
    assert "RECONCILIATION_PENDING" in denials(line, side=Side.SELL)
    assert_books_balance(line.account)


@pytest.mark.django_db
def test_an_execution_taken_back_while_nobody_listens_is_found_by_its_position(line: Line) -> None:
    """Case 60: REST no longer tells it, so the comparison at the next start is what finds it."""
    send(line, "one", quantity=D(10))
    [fill] = line.emulator.log.fills()
    listeners = line.emulator.venue.state.listeners
    line.emulator.call(listeners.clear)
    line.emulator.call(lambda: line.emulator.venue.bust(fill.execution_id))
    line.round()
    assert (RefusedReport.objects.count(), state_of(line)) == (0, "clean")
    assert look_again(line) == "broken"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("heard", [True, False])
def test_a_stranger_is_found_by_the_stream_and_by_rest_alike(desk: Desk, heard: bool) -> None:
    """Case 132: also a mute stream keeps nobody from seeing it."""
    with desk.listening():
        until(lambda: desk.link().stream == "live")
        if not heard:
            desk.fault(K.DROP_EVENT, times=None)
        desk.order(quantity=D(10), order_type="limit", limit_price=D("99"))
        by_somebody_else(desk, qty="7")

        def adopted() -> bool:
            desk.dispatch()
            return Fill.objects.filter(strategy__name="EXTERNAL", quantity=7).exists()

        until(adopted)
    assert (frozen(), Account.objects.get(pk=desk.account.pk).reconciliation) == ([], "clean")
