"""New terms over the real line: PATCH, the stream and REST, whatever the broker makes of them and whenever it fills."""

from typing import Any

import pytest
from django.db.models import Sum

from execution.brokers.alpaca import AlpacaBroker
from execution.errors import ReplaceRefused
from execution.models import Fill, Order, RefusedReport
from execution.services.halt import engage_kill_switch
from execution.services.recovery import recover_account
from execution.services.replaces import request_replace
from execution.states import OPEN
from marketdata.clock import wall_now
from risk.types import Origin
from tests.execution.cases import assert_books_balance, position_of
from tests.execution.updates.line_cases import D, Desk, FaultKind, until

pytestmark = pytest.mark.django_db(transaction=True)
K = FaultKind
LIMIT: dict[str, Any] = {"order_type": "limit", "limit_price": D(99), "quantity": D(10), "client_order_id": "one"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    # A pace that a test need not wait for: after so long a missing order proves something.
    monkeypatch.setattr(AlpacaBroker, "not_found_grace_seconds", 1)


@pytest.fixture(params=["stream", "REST alone"])
def heard(request: pytest.FixtureRequest, desk: Desk) -> str:
    """Let the stream tell nothing at all in the second round: the cross-check alone has to find out."""
    told = str(request.param)
    if told != "stream":
        desk.fault(K.DROP_EVENT, times=None)
    return told


def live(desk: Desk) -> None:
    until(lambda: desk.link().stream == "live", say=lambda: desk.link().stream_problem)


def working(desk: Desk, **fields: Any) -> Order:
    """Send a limit order that rests below the market, and wait until the book knows that it works."""
    live(desk)
    order = desk.order(**LIMIT | fields)
    come_to(desk, {order.client_order_id: "accepted"})
    return named(order.client_order_id)


def named(name: str) -> Order:
    return Order.objects.select_related("account__feed", "instrument", "strategy").get(client_order_id=name)


def ends() -> dict[str, str]:
    return dict(Order.objects.order_by("pk").values_list("client_order_id", "status"))


def filled() -> dict[str, int]:
    return {name: int(shares) for name, shares in Order.objects.values_list("client_order_id", "filled_quantity")}


def come_to(desk: Desk, wanted: dict[str, str]) -> None:
    """Wait until the orders stand so in the book; the broker's clock goes on meanwhile."""

    def reached() -> bool:
        desk.pump()
        desk.dispatch()
        return ends() == wanted

    until(reached, say=ends)


def agree(desk: Desk) -> None:
    """Check that book and broker are one: positions, shares, money, what is held, and nothing was refused."""
    until(desk.positions_agree, say=desk.sides)
    assert_books_balance(desk.account)
    assert not RefusedReport.objects.exists()
    desk.account.refresh_from_db()
    assert desk.account.cash - desk.account.starting_cash == desk.emulator.call(desk.emulator.log.cash_moved)
    open_here = set(Order.objects.filter(status__in=sorted(OPEN)).values_list("client_order_id", flat=True))
    assert {order.client_order_id for order in desk.broker.open_orders()} == open_here


def ask(desk: Desk, order: Order, *, name: str = "", **terms: Any) -> Order:
    """Ask for new terms; nothing is sent yet."""
    result = request_replace(
        order=named(order.client_order_id),
        client_order_id=name,
        operator="ann",
        origin=Origin.CONSOLE,
        wall_now=wall_now(),
        **terms,
    )
    assert result.order is not None
    assert result.accepted, result.denials
    return result.order


def held_shares(desk: Desk) -> Any:
    return position_of(desk.account).open_buy_quantity


def patches(desk: Desk) -> int:
    return desk.emulator.surface.requests["PATCH", "/v2/orders/{id}"]


def engage() -> None:
    engage_kill_switch(scope="global", operator="ann", reason="a test case", source="console", wall_now=wall_now())


def test_the_replacement_is_an_order_of_its_own_and_both_ids_stay_linked(desk: Desk, heard: str) -> None:
    """Case 72: a new id at the broker, the `replaced` event carries the old order."""
    with desk.listening():
        first = working(desk)
        second = ask(desk, first, limit_price=D(98))
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        agree(desk)
        old, new = named("one"), named("one-R1")
        assert (new.pk, new.replaces_id) == (second.pk, first.pk)
        assert old.broker_order_id != new.broker_order_id
        state = desk.emulator.call(lambda: desk.emulator.venue.state.orders.get(old.broker_order_id).answer())
        assert state["replaced_by"] == new.broker_order_id
        desk.price("97.90")
        come_to(desk, {"one": "replaced", "one-R1": "filled"})
        agree(desk)


def test_terms_whose_original_fills_meanwhile_end_rejected_and_the_original_keeps_its_fills(
    desk: Desk, heard: str
) -> None:
    """Case 73: PATCH answered 200, then the original filled."""
    with desk.listening():
        first = working(desk)
        desk.fault(K.FILL_WHILE_REPLACING)
        ask(desk, first, limit_price=D(98))
        come_to(desk, {"one": "filled", "one-R1": "rejected"})
        agree(desk)
        assert filled() == {"one": 10, "one-R1": 0}
        assert held_shares(desk) == 0


def test_a_part_filled_while_replacing_counts_against_the_total(desk: Desk, heard: str) -> None:
    """Case 74: the new quantity is a total; what the original filled meanwhile is bought once."""
    with desk.listening():
        first = working(desk)
        desk.fault(K.FILL_WHILE_REPLACING, quantity="4")
        ask(desk, first, quantity=D(12), limit_price=D(98))
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        until(lambda: desk.positions_agree() and filled()["one"] == 4, say=desk.sides)
        assert held_shares(desk) == 8
        desk.price("97.90")
        come_to(desk, {"one": "replaced", "one-R1": "canceled"})
        agree(desk)
        assert filled() == {"one": 4, "one-R1": 8}


def test_a_part_filled_before_counts_against_the_total(desk: Desk, heard: str) -> None:
    """Case 74: PATCH of a partially filled order says the original total, and only the rest is bought."""
    with desk.listening():
        first = working(desk, limit_price=D("99.90"))
        desk.price("99.80", volume="40")
        until(lambda: desk.positions_agree() and filled()["one"] == 4, say=filled)
        ask(desk, first, quantity=D(9), limit_price=D(98))
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        assert held_shares(desk) == 5
        desk.price("97.90")
        come_to(desk, {"one": "replaced", "one-R1": "filled"})
        agree(desk)
        assert filled() == {"one": 4, "one-R1": 5}


@pytest.mark.parametrize(
    "kind", [K.REPLACE_THEN_ERROR, K.ACCEPT_THEN_DROP, K.ACCEPT_THEN_504, K.ACCEPT_THEN_HTML, K.ACCEPT_THEN_TORN]
)
def test_terms_that_took_effect_though_the_answer_was_an_error_are_found(
    desk: Desk, heard: str, kind: FaultKind
) -> None:
    """Case 75: an error is no refusal; the successor is found by its own id and sent once."""
    with desk.listening():
        first = working(desk)
        desk.fault(kind, match={} if kind == K.REPLACE_THEN_ERROR else {"method": "PATCH"})
        ask(desk, first, limit_price=D(98))
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        agree(desk)
        assert patches(desk) == 1


def test_the_kill_switch_ends_both_once_the_broker_has_decided(desk: Desk, heard: str) -> None:
    """Case 76: a cancel is refused while the order is being replaced, and is sent until it is taken."""
    with desk.listening():
        first = working(desk)
        desk.fault(K.STUCK_PENDING_REPLACE, seconds="3600")
        ask(desk, first, limit_price=D(98))
        desk.dispatch()
        engage()
        desk.dispatch()
        assert set(ends().values()) == {"pending_cancel"}
        advance(desk, 3601)
        come_to(desk, {"one": "replaced", "one-R1": "canceled"})
        agree(desk)
        assert held_shares(desk) == 0


def advance(desk: Desk, seconds: int) -> None:
    desk.emulator.call(lambda: desk.emulator.venue.state.clock.advance(D(seconds)))
    desk.pump()


def test_the_kill_switch_ends_both_when_the_original_fills_a_part_and_lives_on(desk: Desk, heard: str) -> None:
    """Case 76: the replacement is refused after all while both wait for their cancels."""
    with desk.listening():
        first = working(desk)
        desk.fault(K.STUCK_PENDING_REPLACE, seconds="3600")
        desk.fault(K.FILL_WHILE_REPLACING, quantity="4")
        ask(desk, first, quantity=D(4), limit_price=D(98))
        desk.dispatch()
        engage()
        desk.dispatch()
        advance(desk, 3601)
        come_to(desk, {"one": "canceled", "one-R1": "rejected"})
        agree(desk)
        assert filled() == {"one": 4, "one-R1": 0}


def test_the_pair_holds_the_larger_of_both(desk: Desk, heard: str) -> None:
    """Case 77: until the broker has decided the dearer terms are counted, afterwards the new ones alone."""
    with desk.listening():
        first = working(desk)
        notional = position_of(desk.account).open_buy_notional
        desk.fault(K.STUCK_PENDING_REPLACE, seconds="3600")
        ask(desk, first, quantity=D(6), limit_price=D(98))
        desk.dispatch()
        assert held_shares(desk) == 10
        assert position_of(desk.account).open_buy_notional == notional
        advance(desk, 3601)
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        assert held_shares(desk) == 6
        assert position_of(desk.account).open_buy_notional < notional
        agree(desk)


@pytest.mark.parametrize("where", ["before the request", "before the answer was stored"])
def test_a_crash_in_the_middle_of_a_replacement_is_recovered_by_the_new_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Case 78: the next process asks by the successor's id; what was not sent is sent, what was sent is adopted."""
    with desk.listening():
        first = working(desk)
        ask(desk, first, limit_price=D(98))

        def die(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        if where == "before the request":
            monkeypatch.setattr(AlpacaBroker, "replace", die)
        else:
            monkeypatch.setattr("execution.services.dispatch.record_answers", die)
        with pytest.raises(KeyboardInterrupt):
            desk.dispatch()
        monkeypatch.undo()
        monkeypatch.setattr(AlpacaBroker, "not_found_grace_seconds", 0)
        assert named("one-R1").status == "submitted"
        desk.account.refresh_from_db()
        recover_account(account=desk.account, broker=desk.broker, wall_now=wall_now())
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        agree(desk)
        assert patches(desk) == 1


def test_each_replacement_has_an_id_of_its_own_at_the_broker(desk: Desk) -> None:
    """Case 79: the broker carries no client id over, so `{id}-R{n}` is given each time."""
    with desk.listening():
        order = working(desk)
        wanted = {"one": "accepted"}
        for number, price in enumerate((98, 97, 96), 1):
            order = ask(desk, order, limit_price=D(price))
            wanted = dict.fromkeys(wanted, "replaced") | {f"one-R{number}": "accepted"}
            come_to(desk, wanted)
        assert list(ends()) == ["one", "one-R1", "one-R2", "one-R3"]
        agree(desk)
        told = desk.emulator.call(lambda: desk.emulator.log.entries(kind="submitted"))
        assert [entry.data["client_order_id"] for entry in told] == ["one", "one-R1", "one-R2", "one-R3"]


def test_a_late_fill_of_the_replaced_original_is_booked(desk: Desk, heard: str) -> None:
    """Case 49 with 74: the original fills after it was replaced; the shares are in the book and count once."""
    with desk.listening():
        first = working(desk)
        desk.fault(K.LATE_FILL_ON_REPLACED, quantity="4")
        ask(desk, first, limit_price=D(98))
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        until(lambda: desk.positions_agree() and filled()["one"] == 4, say=desk.sides)
        agree(desk)


def test_a_replaced_original_that_fills_whole_leaves_nothing_working(desk: Desk, heard: str) -> None:
    """Case 49: the total is bought; the successor is over in the book, so it must be over at the broker as well."""
    with desk.listening():
        first = working(desk)
        desk.fault(K.LATE_FILL_ON_REPLACED)
        ask(desk, first, limit_price=D(98))
        come_to(desk, {"one": "filled", "one-R1": "canceled"})
        agree(desk)
        assert Fill.objects.aggregate(bought=Sum("quantity"))["bought"] == 10


def test_a_loop_of_new_terms_waits_for_the_broker_each_time(desk: Desk, heard: str) -> None:
    """Case 84: neither the original nor its successor takes further terms before the one has given way."""
    with desk.listening():
        first = working(desk)
        desk.fault(K.STUCK_PENDING_REPLACE, seconds="3600")
        ask(desk, first, limit_price=D(98))
        desk.dispatch()
        for name in ("one", "one-R1") * 3:
            with pytest.raises(ReplaceRefused, match="wait"):
                ask(desk, named(name), limit_price=D(97))
            desk.dispatch()
        assert (patches(desk), held_shares(desk)) == (1, 10)
        advance(desk, 3601)
        come_to(desk, {"one": "replaced", "one-R1": "accepted"})
        ask(desk, named("one-R1"), limit_price=D(97))
        come_to(desk, {"one": "replaced", "one-R1": "replaced", "one-R2": "accepted"})
        agree(desk)
        assert patches(desk) == 2
