"""The kill switch at a broker, until it is proved: nothing adds risk, cancels pass, what is left is named."""

from datetime import timedelta

import pytest

from execution.emulator.faults import FaultKind
from execution.halting import closing, residue
from execution.halting.procedure import begin, step
from execution.models import BrokerLink, HaltProcedure, HaltResidue, Order
from execution.services.dispatch import dispatch_once
from execution.services.orders import submit_order, submit_orders
from execution.types import HaltWish
from risk.models import Alert
from risk.services import kill_switch
from risk.types import Origin, Side
from tests.execution.cases import assert_books_balance, position_of
from tests.factories import (
    D,
    allow,
    allow_bursts,
    make_instrument,
    make_intent,
    make_order,
    make_quote,
    submit,
)
from tests.faults.halts import (
    REASON,
    closings,
    engage,
    held_there,
    holding,
    left,
    moved,
    night,
    resting,
    stranger,
    theirs,
    until_over,
)
from tests.faults.line import Line, named
from tests.risk.threads import in_another_transaction

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _bursts(db: None) -> None:
    allow_bursts()


def test_a_halt_is_verified_when_the_broker_was_twice_empty(line: Line) -> None:
    """Case 82: block, cancel, list again until two looks in a row find nothing."""
    resting(line)
    engage(line)
    states = [moved(line) for _ in range(4)]
    assert [(each.state, each.empties) for each in states][-1] == ("verified", 2)
    assert [each.empties for each in states][:2] != [2, 2]
    assert (named("rests").status, theirs(line)) == ("canceled", [])


def test_82_an_order_that_appears_during_the_cancels_is_caught(line: Line) -> None:
    """One look was empty, then an order arrives at the broker: the looks begin anew and it goes too."""
    engage(line, "symbol:AAPL", everything=True)
    assert moved(line).empties == 1
    stranger(line)
    assert (moved(line).empties, moved(line).empties) == (0, 1)
    assert (until_over(line).state, theirs(line)) == ("verified", [])


def test_81_an_order_whose_cancel_fails_keeps_the_halt_open_and_is_named(line: Line) -> None:
    resting(line)
    line.goes_wrong(FaultKind.STUCK_PENDING_CANCEL, match={"client_order_id": "rests"}, parameters={"seconds": 3600})
    engage(line)
    procedure = moved(line, 4)
    assert (procedure.state, left()) == ("canceling", {"rests": "cancel_pending"})
    assert Alert.objects.filter(code="halt_residue", state="open").count() == 1


def test_80_orders_of_others_are_listed_and_left_alone(line: Line) -> None:
    stranger(line)
    engage(line)
    procedure = until_over(line)
    assert (procedure.state, theirs(line), left()) == ("verified", ["not-ours"], {"not-ours": "stranger"})


def test_80_orders_of_others_go_when_everything_was_asked_for(line: Line) -> None:
    stranger(line)
    engage(line, everything=True)
    assert (until_over(line).state, theirs(line), left()) == ("verified", [], {})


def test_80_a_strategy_that_is_halted_says_nothing_of_the_orders_of_others(line: Line) -> None:
    stranger(line)
    engage(line, "strategy:manual")
    assert (until_over(line).state, left()) == ("verified", {})


@pytest.mark.parametrize("scope", ["global", "account", "strategy:manual", "symbol:AAPL"])
def test_a_flatten_cancels_waits_closes_and_is_verified_flat(line: Line, scope: str) -> None:
    """Cases 20, 173: the exit that holds the shares is canceled first, and the close is for what is held."""
    holding(line)
    resting(line, "exit", side=Side.SELL, limit_price=D(105))
    engage(line, line.account.scope if scope == "account" else scope, "flattening")
    procedure = until_over(line)
    [close] = closings()
    assert (procedure.state, held_there(line), position_of(line.account).quantity) == ("verified", {}, 0)
    assert (close.status, close.quantity, close.side, close.reduce_only) == ("filled", 10, "sell", True)
    assert line.submitted()[-1] == close.client_order_id
    assert_books_balance(line.account)


def test_the_second_lock_opens_for_the_closing_orders_alone(line: Line) -> None:
    holding(line)
    engage(line, level="flattening")
    seen = []
    for _ in range(8):
        procedure = moved(line)
        seen.append((procedure.state, BrokerLink.objects.get(account=line.account).suspended))
    assert ("canceling", True) in seen
    assert ("closing", False) in seen
    assert seen[-1] == ("verified", True)
    assert held_there(line) == {}


def test_a_short_position_is_bought_back(line: Line) -> None:
    holding(line, side=Side.SELL)
    engage(line, level="flattening")
    assert (until_over(line).state, held_there(line)) == ("verified", {})
    assert [(each.side, each.status) for each in closings()] == [("buy", "filled")]


def test_i4_under_a_flatten_nothing_but_closing_orders_leaves(line: Line) -> None:
    holding(line)
    before = line.submitted()
    engage(line, level="flattening")
    for number in range(6):
        for side in Side:
            result = submit(line.account, client_order_id=f"n{number}{side}", side=side, reduce_only=side == Side.SELL)
            assert "KILL_SWITCH" in [str(each.code) for each in result.denials]
        moved(line)
    assert line.submitted() == [*before, closings()[0].client_order_id]


def test_172_a_second_press_makes_no_second_closing_order(line: Line) -> None:
    holding(line)
    engage(line, level="flattening")
    while not closings():
        moved(line)
    engage(line, level="flattening")
    until_over(line)
    assert (len(closings()), HaltProcedure.objects.count(), held_there(line)) == (1, 1, {})


def test_two_dispatchers_make_one_closing_order(line: Line) -> None:
    holding(line)
    engage(line, level="flattening")
    closing = until_closing(line)
    same = HaltProcedure.objects.select_related("account__feed").get(pk=closing.pk)
    other = HaltProcedure.objects.select_related("account__feed").get(pk=closing.pk)
    line.wall += timedelta(seconds=5)
    assert (step(same, line.broker, line.wall), step(other, line.broker, line.wall)) == (True, False)
    assert len(closings()) <= 1


def until_closing(line: Line) -> HaltProcedure:
    for _ in range(6):
        procedure = moved(line)
        if procedure.state == "closing":
            return procedure
    raise AssertionError(procedure.state)


def test_a_crash_between_the_closing_order_and_its_note_makes_no_second_one(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding(line)
    engage(line, level="flattening")

    def stored_and_dead(**fields: object) -> object:
        submit_order(**fields)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(closing, "submit_order", stored_and_dead)
        with pytest.raises(KeyboardInterrupt):
            moved(line, 8)
    assert len(closings()) == 1
    assert (until_over(line).state, len(closings()), held_there(line)) == ("verified", 1, {})


def test_a_crash_before_the_procedure_was_begun_loses_nothing(line: Line) -> None:
    """The switch is stored alone; whoever sends the cancels opens the rest from it."""
    holding(line)
    kill_switch.engage(
        scope="global", operator="ann", reason=REASON, source="console", now=line.wall, level="flattening"
    )
    procedure = until_over(line)
    assert (procedure.operator, procedure.state, held_there(line)) == ("ann", "verified", {})


def test_105_exits_that_are_refused_end_after_three_and_are_named(line: Line) -> None:
    holding(line)
    line.goes_wrong(FaultKind.REJECT_LATER, match={"client_order_id": "flat-"}, times=None)
    engage(line, level="flattening")
    procedure = until_over(line, 30)
    assert (procedure.state, left(), len(closings())) == ("residue", {"manual/AAPL": "refused"}, 3)
    moved(line, 5)
    assert len(closings()) == 3
    assert Alert.objects.filter(code="halt_residue").exclude(state="resolved").count() == 1


def test_175_what_our_own_checks_deny_is_named_with_the_reason(line: Line) -> None:
    holding(line)
    make_instrument(tradable=False)
    engage(line, level="flattening")
    assert until_over(line, 30).state == "residue"
    [row] = HaltResidue.objects.filter(gone_at__isnull=True)
    assert (row.why, row.failures) == ("denied", 3)
    assert "not tradable" in row.detail or "NOT_TRADABLE" in row.detail or "given up" in row.detail


def test_a_halt_is_over_when_what_is_left_is_accepted_by_name(line: Line) -> None:
    holding(line)
    make_instrument(tradable=False)
    engage(line, level="flattening")
    procedure = until_over(line, 30)
    residue.accept(
        procedure_id=procedure.pk,
        name="manual/AAPL",
        operator="bob",
        reason="delisted, handled by hand",
        wall_now=line.wall,
    )
    line.wall += timedelta(seconds=5)
    assert moved(line, 2).state == "accepted"
    assert not Alert.objects.filter(code="halt_residue").exclude(state="resolved").exists()


def test_174_a_flatten_while_the_market_is_closed_asks_explicitly(line: Line) -> None:
    holding(line)
    night(line)
    engage(line, level="flattening")
    assert (until_over(line).state, left(), closings()) == ("residue", {"manual/AAPL": "market_closed"}, [])


def test_174_asked_for_the_open_the_closing_order_waits_for_the_auction(line: Line) -> None:
    holding(line)
    night(line)
    engage(line, level="flattening", at_open=True)
    moved(line, 8)
    assert [each.time_in_force for each in closings()] == ["opg"]


def test_a_large_position_is_closed_in_orders_that_pass_the_limits(line: Line) -> None:
    holding(line, quantity=D(25))
    allow(max_order_quantity=10)
    engage(line, level="flattening")
    assert until_over(line, 30).state == "verified"
    assert [each.quantity for each in closings()] == [10, 10, 5]


def test_what_the_broker_holds_and_no_strategy_has_is_named_and_not_traded(line: Line) -> None:
    holding(line)
    position = position_of(line.account)
    type(position).objects.filter(pk=position.pk).update(quantity=0, cost_basis=0)
    engage(line, level="flattening")
    assert (until_over(line).state, left(), closings()) == ("residue", {"AAPL": "stranger"}, [])


def test_a_close_never_crosses_zero_when_strategies_hold_both_sides(line: Line) -> None:
    """Ours are long 10 and short 4, the broker holds 6: six are sold, and the rest is a matter between them."""
    holding(line, "long")
    holding(line, "short", strategy="other", side=Side.SELL, quantity=D(4))
    engage(line, level="flattening")
    assert until_over(line).state == "verified"
    assert [(each.side, each.quantity) for each in closings()] == [("sell", 6)]
    assert held_there(line) == {}


def test_reducing_cancels_what_adds_and_lets_exits_pass(line: Line) -> None:
    holding(line)
    resting(line, "more")
    resting(line, "exit", side=Side.SELL, limit_price=D(105))
    engage(line, level="reducing")
    procedure = until_over(line)
    assert (procedure.state, named("more").status, named("exit").status) == ("verified", "canceled", "accepted")
    assert "KILL_SWITCH" in [str(each.code) for each in submit(line.account, client_order_id="add").denials]
    assert not BrokerLink.objects.get(account=line.account).suspended


def test_under_reducing_an_exit_leaves_and_an_entry_does_not(line: Line) -> None:
    holding(line)
    engage(line, level="reducing")
    make_order(line.account, client_order_id="out", side=Side.SELL)
    until_over(line)
    assert (named("out").status, held_there(line)) == ("filled", {})


def test_a_symbol_that_is_halted_stops_no_other(line: Line) -> None:
    make_instrument("MSFT")
    make_quote(line.account.feed, "MSFT")
    engage(line, "symbol:AAPL")
    assert "KILL_SWITCH" in [str(each.code) for each in submit(line.account).denials]
    assert submit_order(intent=make_intent(symbol="MSFT"), account=line.account, wall_now=line.wall).accepted


def test_a_closing_order_whose_halt_was_released_is_not_sent(line: Line) -> None:
    """Nothing resumes and nothing goes on by itself: what was stored before the release is denied at the claim."""
    holding(line)
    engage(line, level="flattening")
    procedure = until_closing(line)
    late = make_intent(
        side=Side.SELL, reduce_only=True, origin=Origin.FLATTEN, source_ref=procedure.ref, client_order_id="late"
    )
    assert submit_order(intent=late, account=line.account, wall_now=line.wall).accepted
    kill_switch.disengage(
        scope="global", operator="ann", second_operator="bob", reason=REASON, source="console", now=line.wall
    )
    HaltProcedure.objects.filter(pk=procedure.pk).update(state="superseded", finished_at=line.wall)
    line.dispatch()
    assert (named("late").status, named("late").error_code) == ("denied", "HALT_OVER")


def test_a_release_ends_the_halt_and_takes_back_its_closing_orders(line: Line) -> None:
    holding(line)
    night(line)
    engage(line, level="flattening", at_open=True)
    moved(line, 8)
    kill_switch.disengage(
        scope="global", operator="ann", second_operator="bob", reason=REASON, source="console", now=line.wall
    )
    moved(line, 2)
    assert HaltProcedure.objects.get().state == "superseded"
    assert [each.status for each in closings()] == ["canceled"]


def test_a_flatten_without_a_switch_closes_and_stops_nothing(line: Line) -> None:
    """Flatten-all and close: the same machinery, and who goes on trading goes on trading."""
    holding(line)
    resting(line, "before")
    wish = HaltWish(scope=line.account.scope, level="active", operator="ann", reason=REASON, flatten=True)
    begin(account=line.account, wish=wish, wall_now=line.wall)
    make_instrument("MSFT")
    make_quote(line.account.feed, "MSFT")
    make_order(line.account, client_order_id="after", symbol="MSFT", order_type="limit", limit_price=D(98))
    procedure = until_over(line)
    assert (procedure.state, named("before").status, named("after").status) == ("verified", "canceled", "accepted")
    assert [each.status for each in closings()] == ["filled"]


def test_a_broker_that_cannot_be_asked_is_told_and_asked_again(line: Line) -> None:
    resting(line)
    engage(line)
    line.goes_wrong(FaultKind.REFUSE_503, match={"method": "GET", "path": "/v2/orders"}, times=3)
    assert "cannot be asked" in moved(line).problem
    assert until_over(line).state == "verified"


def test_159_a_switch_that_falls_during_a_run_stops_between_its_orders(line: Line) -> None:
    """What was sent is canceled at the broker, the rest never leaves, and each order says which it was."""
    terms = {"order_type": "limit", "limit_price": D(99), "quantity": D(1), "origin": Origin.RUN, "source_ref": "run:1"}
    intents = [make_intent(client_order_id=f"r{number}", **terms) for number in range(5)]
    assert all(each.accepted for each in submit_orders(intents=intents, account=line.account, wall_now=line.wall))
    for _ in range(2):
        dispatch_once(account=line.account, broker=line.broker, wall_now=line.wall, limit=1)
    engage(line)
    assert until_over(line).state == "verified"
    assert line.submitted() == ["r0", "r1"]
    sent = Order.objects.filter(source_ref="run:1", submitted_at__isnull=False)
    assert sorted(sent.values_list("client_order_id", flat=True)) == ["r0", "r1"]
    assert set(Order.objects.values_list("status", flat=True)) == {"canceled"}


@pytest.mark.django_db(transaction=True)
def test_41_an_order_on_its_way_into_the_book_when_a_flatten_is_pressed_is_not_sent(line: Line) -> None:
    holding(line)
    with in_another_transaction(lambda: make_order(line.account, client_order_id="late")):
        engage(line, level="flattening")
    assert until_over(line).state == "verified"
    assert (named("late").status, named("late").error_code, held_there(line)) == ("denied", "KILL_SWITCH", {})
    assert "late" not in line.submitted()
