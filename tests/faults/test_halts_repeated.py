"""A halt that is pressed twice, moved on by two, or told the truth of a moment ago: one look, one close, one alert."""

from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest

from execution.brokers.alpaca import AlpacaBroker
from execution.emulator.faults import FaultKind
from execution.halting import procedure as procedure_module
from execution.halting.procedure import advance, ensure_procedures, step
from execution.models import Account, BrokerLink, HaltProcedure
from execution.services.second_lock import keep_second_lock
from risk.models import Alert
from risk.types import Side
from tests.factories import D, allow_bursts, make_order
from tests.faults.halts import closings, engage, held_there, holding, moved, night, stranger, theirs, until_over
from tests.faults.line import Line
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _bursts(db: None) -> None:
    allow_bursts()


@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_at_once_take_one_look_between_them(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks_of_two(line, monkeypatch) == ([False, True], 1)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_fence_two_at_once_pass_for_two_looks_in_a_row(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counting the version up first is for."""
    monkeypatch.setattr(procedure_module, "_take", lambda *_: True)
    assert looks_of_two(line, monkeypatch) == ([True, True], 2)


def looks_of_two(line: Line, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bool], int]:
    """Let two take the step that is due at the same moment; return who did and how often the broker was asked."""
    engage(line)
    ensure_procedures(account=line.account, wall_now=line.wall)
    line.wall += timedelta(seconds=5)
    both = [HaltProcedure.objects.select_related("account__feed").get() for _ in range(2)]
    asked, start = [], Barrier(2, timeout=10)
    listed = type(line.broker).open_orders

    def counted(broker: AlpacaBroker) -> object:
        asked.append(1)
        return listed(broker)

    def at_once(mine: HaltProcedure) -> bool:
        start.wait()
        return step(mine, line.broker, line.wall)

    monkeypatch.setattr(type(line.broker), "open_orders", counted)
    taken = together(*(partial(at_once, each) for each in both))
    return sorted(taken), len(asked)


def test_while_the_market_is_closed_lock_and_alert_stay_as_they_are(line: Line) -> None:
    """A lock that opened and closed again every few seconds would tell people of it as often."""
    holding(line)
    night(line)
    engage(line, level="flattening")
    until_over(line)
    moved(line, 2)
    seen = [(moved(line, 2).state, BrokerLink.objects.get(account=line.account).suspended) for _ in range(5)]
    assert set(seen) == {("residue", True)}
    assert Alert.objects.filter(code="halt_residue").exclude(state="resolved").count() == 1


def test_a_second_press_after_three_refusals_tries_again(line: Line) -> None:
    """The same person with the same words: no double click, because it has given up meanwhile."""
    holding(line)
    line.goes_wrong(FaultKind.REJECT_LATER, match={"client_order_id": "flat-"}, times=3)
    engage(line, level="flattening")
    given_up = until_over(line, 30)
    assert given_up.state == "residue"
    engage(line, level="flattening", everything=False)
    again = until_over(line, 30)
    assert (again.pk != given_up.pk, again.state, held_there(line)) == (True, "verified", {})
    assert HaltProcedure.objects.get(pk=given_up.pk).state == "superseded"
    assert not Alert.objects.filter(code="halt_residue").exclude(state="resolved").exists()


def test_a_press_that_asks_for_more_is_heard_while_the_halt_goes_on(line: Line) -> None:
    stranger(line)
    engage(line)
    moved(line)
    engage(line, everything=True)
    assert (until_over(line).state, theirs(line)) == ("verified", [])


def test_a_fill_that_is_booked_while_the_broker_is_asked_is_not_closed_twice(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours are long 10 and short 4: what the broker said before the fill would sell the other four into a short."""
    holding(line, "long")
    holding(line, "short", strategy="other", side=Side.SELL, quantity=D(4))
    engage(line, level="flattening")
    ensure_procedures(account=line.account, wall_now=line.wall)
    for _ in range(5):
        advance_alone(line)
    assert [each.status for each in closings()] == ["pending"]
    asked = type(line.broker).positions

    def positions(broker: AlpacaBroker) -> object:
        told = asked(broker)
        keep_second_lock(account=line.account, broker=line.broker, wall_now=line.wall)
        line.dispatch()
        line.hear()
        return told

    with monkeypatch.context() as patch:
        patch.setattr(type(line.broker), "positions", positions)
        advance_alone(line)
    assert [each.status for each in closings()] == ["filled"]
    assert until_over(line).state == "verified"
    assert ([each.quantity for each in closings()], held_there(line)) == ([6], {})


def advance_alone(line: Line) -> None:
    """Move the halt on while nothing is sent."""
    line.wall += timedelta(seconds=5)
    line.ticker.pass_seconds(61)
    keep_second_lock(account=line.account, broker=line.broker, wall_now=line.wall)
    advance(account=line.account, broker=line.broker, wall_now=line.wall)


def test_a_flatten_of_an_account_whose_books_differ_closes_and_sends_nothing_else(line: Line) -> None:
    holding(line)
    make_order(line.account, client_order_id="entry")
    Account.objects.filter(pk=line.account.pk).update(reconciliation=Account.Reconciliation.BROKEN)
    line.account.refresh_from_db()
    sent = line.submitted()
    engage(line, level="flattening")
    assert (until_over(line).state, held_there(line)) == ("verified", {})
    assert line.submitted() == [*sent, closings()[0].client_order_id]
    assert Account.objects.get(pk=line.account.pk).reconciliation == Account.Reconciliation.BROKEN
