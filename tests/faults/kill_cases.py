"""What a process is doing when it is killed, place by place: before it, in it, and what is asked again afterwards.

Works run in a child and know nothing but their arguments. `again` is what whoever asked does when no answer came: the
same once more, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from execution.brokers.paper import PaperBroker
from execution.crashpoints import Point
from execution.errors import OrderNotOpen
from execution.models import Account, AccountDay, BrokerLink, Order, StrategyDay
from execution.services.cancels import request_cancel
from execution.services.dispatch import dispatch_once
from execution.services.groups import submit_group
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_order
from execution.services.recovery import begin_recovery, recover_account
from execution.services.replaces import request_replace
from execution.services.reports import apply_reports
from execution.services.second_lock import keep_second_lock
from execution.services.sessions import close_session
from execution.services.sweep import sweep
from execution.services.updates import Update, take_updates
from execution.services.wishes import fulfil_wishes, keep_wish, kept_wishes
from execution.states import OPEN
from marketdata import calendar
from risk.models import GLOBAL_SCOPE, KillSwitchEvent
from risk.selectors import is_engaged
from risk.types import OrderIntent, Origin
from tests.execution.group_cases import make_group
from tests.factories import D, make_account, make_order
from tests.faults.halt_cases import is_proved_flat, move_halt, release, something_to_close
from tests.faults.killed_desk import KilledDesk, Place

Arguments = tuple[Any, ...]
FIRST_DAY = date(2000, 1, 3)


def nothing(_desk: KilledDesk, *_arguments: Any) -> None:
    """Nobody asks again: the next process finds it by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One work: `passages` is how often it surely passes the place; `holds` what is looked at beside the invariants.

    With `alone` the desk comes to rest after each death, because the next one begins elsewhere. `few` is how many die
    where every change is looked at: less of a work that takes seconds each time.
    """

    prepare: Callable[[KilledDesk], Arguments]
    work: Callable[..., None]
    again: Callable[..., None] = nothing
    holds: Callable[..., None] = nothing
    passages: int = 1
    alone: bool = False
    few: int = 20


# the gate


def wishes(desk: KilledDesk) -> Arguments:
    return (desk.wishes(3),)


def submit(place: Place, wanted: Sequence[OrderIntent]) -> None:
    for intent in wanted:
        result = submit_order(intent=intent, account=place.account(), wall_now=place.wall)
        assert result.accepted, result.denials


def submit_again(desk: KilledDesk, wanted: Sequence[OrderIntent]) -> None:
    submit(desk.place(), wanted)


def each_is_one_order(desk: KilledDesk, wanted: Sequence[OrderIntent]) -> None:
    for intent in wanted:
        order = Order.objects.get(account=desk.account, client_order_id=intent.client_order_id)
        assert desk.taken(intent.client_order_id) == 1, order.client_order_id
        assert order.broker_order_id


def group(desk: KilledDesk) -> Arguments:
    return make_group(client_order_id=f"{desk.trial}-group", limit_price=D(99))


def submit_bracket(place: Place, entry: OrderIntent, legs: list[OrderIntent]) -> None:
    results = submit_group(entry=entry, legs=legs, account=place.account(), wall_now=place.wall)
    assert all(result.accepted for result in results), results


def bracket_again(desk: KilledDesk, entry: OrderIntent, legs: list[OrderIntent]) -> None:
    submit_bracket(desk.place(), entry, legs)


def bracket_is_whole(desk: KilledDesk, entry: OrderIntent, _legs: list[OrderIntent]) -> None:
    order = Order.objects.get(account=desk.account, client_order_id=entry.client_order_id)
    assert order.legs.count() == 2
    assert all(leg.broker_order_id for leg in order.legs.all())
    assert desk.taken(entry.client_order_id) == 1


# sending


def waiting_orders(desk: KilledDesk) -> Arguments:
    """Have orders to be sent, among them now and then a group."""
    wanted = desk.wishes(3)
    desk.wanted(wanted)
    if desk.chance.random() < 0.3:
        submit_bracket(desk.place(), *group(desk))
    return (wanted,)


def dispatch(place: Place, *_: Any) -> None:
    broker = place.broker()
    while dispatch_once(account=place.account(), broker=broker, wall_now=place.wall).did_something:
        pass


SENDING = Case(prepare=waiting_orders, work=dispatch, holds=each_is_one_order, passages=2)  # one first, then several


# new terms


def order_to_change(desk: KilledDesk) -> Arguments:
    return (desk.resting(1)[0].pk, f"{desk.trial}-new")


def ask_for_new_terms(place: Place, order_id: int, name: str) -> None:
    order = Order.objects.select_related("account__feed").get(pk=order_id)
    result = request_replace(
        order=order,
        limit_price=D("98.50"),
        client_order_id=name,
        operator="ann",
        origin=Origin.API,
        wall_now=place.wall,
    )
    assert result.accepted, result.denials


def ask_again(desk: KilledDesk, order_id: int, name: str) -> None:
    ask_for_new_terms(desk.place(), order_id, name)


def has_given_way(desk: KilledDesk, order_id: int, name: str) -> None:
    original, successor = Order.objects.get(pk=order_id), Order.objects.get(client_order_id=name)
    assert (original.status, successor.status) == ("replaced", "accepted")
    assert desk.taken(name) == 1


def changes_that_wait(desk: KilledDesk) -> Arguments:
    """Have two orders whose new terms are to be sent."""
    orders = desk.resting(2)
    pairs = [(order.pk, f"{order.client_order_id}-new") for order in orders]
    for order_id, name in pairs:
        ask_for_new_terms(desk.place(), order_id, name)
    return (pairs,)


def all_have_given_way(desk: KilledDesk, pairs: list[tuple[int, str]]) -> None:
    for order_id, name in pairs:
        has_given_way(desk, order_id, name)


CHANGING = Case(prepare=order_to_change, work=ask_for_new_terms, again=ask_again, holds=has_given_way)
CHANGES = Case(prepare=changes_that_wait, work=dispatch, holds=all_have_given_way, passages=2)


# cancels


def orders_to_cancel(desk: KilledDesk) -> Arguments:
    return ([order.pk for order in desk.resting(2)],)


def cancel(place: Place, order_ids: list[int]) -> None:
    for order in Order.objects.select_related("account__feed").filter(pk__in=order_ids).order_by("pk"):
        with suppress(OrderNotOpen):
            request_cancel(order=order, operator="ann", wall_now=place.wall)


def cancel_again(desk: KilledDesk, order_ids: list[int]) -> None:
    cancel(desk.place(), order_ids)


def are_canceled(desk: KilledDesk, order_ids: list[int]) -> None:
    orders = Order.objects.filter(pk__in=order_ids)
    assert {order.status for order in orders} == {"canceled"}
    ends = desk.emulator.log.orders()
    assert {ends[order.broker_order_id] for order in orders} == {"canceled"}


def cancels_that_wait(desk: KilledDesk) -> Arguments:
    (order_ids,) = orders_to_cancel(desk)
    cancel(desk.place(), order_ids)
    return (order_ids,)


CANCELING = Case(prepare=orders_to_cancel, work=cancel, again=cancel_again, holds=are_canceled, passages=2)
CANCELS = Case(prepare=cancels_that_wait, work=dispatch, holds=are_canceled, passages=2)


# what the broker tells


def executions(desk: KilledDesk) -> Arguments:
    """Let orders execute and end at the broker while nobody listens."""
    wanted = desk.wishes(2, order_type="limit", limit_price=D("100.50"))
    resting = desk.wish("r", order_type="limit", limit_price=D("99.00"))
    orders = desk.wanted([*wanted, resting])
    desk.send()
    request_cancel(order=orders[-1], operator="ann", wall_now=desk.wall)
    desk.updates()
    desk.send()
    desk.move_market()
    return ([*wanted, resting],)


def look_by_rest(place: Place, *_: Any) -> None:
    place.check().round(wall_now=place.wall, long=True)


def stream(desk: KilledDesk) -> Arguments:
    executions(desk)
    return (desk.updates(),)


def hear(place: Place, updates: list[Update]) -> None:
    assert updates, "the stream told nothing"
    take_updates(account_id=place.account_id, updates=updates, wall_now=place.wall)


def hear_again(desk: KilledDesk, updates: list[Update]) -> None:
    """Hear all of it once more, some of it, or nothing: a stream does not repeat what was lost, and REST tells it."""
    told = [update for update in updates if desk.chance.random() < desk.chance.choice([0, 0.5, 1])]
    if told:
        hear(desk.place(), told)


def inbox(desk: KilledDesk) -> Arguments:
    """Have the executions in the inbox, not in the book."""
    told = executions(desk)
    desk.cross_check.round(wall_now=desk.wall)
    return told


def book(place: Place, *_: Any) -> None:
    assert apply_reports(account=place.account(), broker=place.broker(), wall_now=place.wall), "nothing to book"


LOOKING = Case(prepare=executions, work=look_by_rest, holds=each_is_one_order)
LISTENING = Case(prepare=stream, work=hear, again=hear_again)
BOOKING = Case(prepare=inbox, work=book, holds=each_is_one_order)


# starting again


def unanswered(desk: KilledDesk) -> Arguments:
    """Have orders without an answer, others that wait, and executions that nobody has heard of."""
    wanted = desk.wishes(3)
    desk.wanted(wanted[:2])
    desk.lose_some_answers()
    desk.send()
    desk.wanted(wanted[2:])
    desk.move_market()
    desk.wall += timedelta(seconds=60)
    return (wanted,)


def start(place: Place, *_: Any) -> None:
    account = place.account()
    begin_recovery(account=account)
    recover_account(account=account, broker=place.broker(), wall_now=place.wall)


STARTING = Case(prepare=unanswered, work=start, holds=each_is_one_order)


# the kill switch


def something_to_stop(desk: KilledDesk) -> Arguments:
    """Have orders at the broker, orders that wait, and another account with one."""
    desk.resting(2)
    desk.wanted(desk.wishes(1, client_order_id=f"{desk.trial}-waits"))
    other = other_account(desk)
    make_order(other, client_order_id=f"other-{desk.trial}", order_type="limit", limit_price=D(99))
    return (f"trial {desk.trial} of many", len(desk.emulator.log))


def other_account(desk: KilledDesk) -> Account:
    """Return the desk's second account, at the built-in exchange."""
    found = Account.objects.filter(name="other").first()
    return found or make_account(name="other", feed=desk.account.feed)


def press(place: Place, reason: str, _taken: int) -> None:
    engage_kill_switch(scope=GLOBAL_SCOPE, operator="ann", reason=reason, source="command", wall_now=place.wall)


def all_is_stopped(desk: KilledDesk, reason: str, logged: int) -> None:
    """Nothing is open anywhere, nothing was sent since, and trading goes on after a release."""
    assert is_engaged(GLOBAL_SCOPE)
    assert KillSwitchEvent.objects.filter(reason=reason, engaged=True).count() == 1
    other = other_account(desk)
    sweep(account=other, broker=PaperBroker(other.name, starting_cash=other.starting_cash), wall_now=desk.wall)
    still_open = Order.objects.filter(status__in=sorted(OPEN)).values_list("client_order_id", "status")
    assert list(still_open) == []
    assert desk.emulator.log.entries(after=logged, kind="submitted") == []
    release(desk)


STOPPING = Case(prepare=something_to_stop, work=press, holds=all_is_stopped, alone=True)


def engaged(desk: KilledDesk) -> Arguments:
    press(desk.place(), f"trial {desk.trial} of many", 0)
    return ()


def keep_lock(place: Place) -> None:
    keep_second_lock(account=place.account(), broker=place.broker(), wall_now=place.wall)


def lock_is_ours(desk: KilledDesk) -> None:
    """The suspension is known to be ours, so that the release takes it back."""
    for is_stopped in (True, False):
        desk.wall += timedelta(minutes=2)
        desk.ticker.pass_seconds(61)
        keep_second_lock(account=desk.fresh(), broker=desk.broker, wall_now=desk.wall)
        link = BrokerLink.objects.get(account=desk.account)
        assert bool(desk.broker.account().suspended) is is_stopped
        assert (bool(link.suspended), link.suspended_by_us, link.suspend_problem) == (is_stopped, is_stopped, "")
        if is_stopped:
            release(desk)


LOCKING = Case(prepare=engaged, work=keep_lock, holds=lock_is_ours, alone=True)


PROVING = Case(prepare=something_to_close, work=move_halt, holds=is_proved_flat, alone=True, few=3)
STEPS = Case(prepare=something_to_close, work=move_halt, holds=is_proved_flat, passages=3, alone=True, few=3)


def a_reason(desk: KilledDesk) -> Arguments:
    return (f"trial {desk.trial} of many",)


def keep(place: Place, reason: str) -> None:
    keep_wish(place.var_dir, scope=GLOBAL_SCOPE, operator="ann", reason=reason, source="command", wall_now=place.wall)


def keep_again(desk: KilledDesk, reason: str) -> None:
    """Look whether it is kept; who saw no answer presses once more."""
    if not kept_wishes(desk.var_dir):
        keep(desk.place(), reason)


def kept(desk: KilledDesk) -> Arguments:
    (reason,) = a_reason(desk)
    keep(desk.place(), reason)
    return (reason,)


def fulfil(place: Place, _reason: str) -> None:
    fulfil_wishes(place.var_dir, wall_now=place.wall)


def is_fulfilled(desk: KilledDesk, reason: str) -> None:
    fulfil_wishes(desk.var_dir, wall_now=desk.wall)
    assert KillSwitchEvent.objects.filter(reason=reason, engaged=True).count() == 1
    assert is_engaged(GLOBAL_SCOPE)
    assert kept_wishes(desk.var_dir) == []
    release(desk)


KEEPING = Case(prepare=a_reason, work=keep, again=keep_again, holds=is_fulfilled, alone=True)
FULFILLING = Case(prepare=kept, work=fulfil, holds=is_fulfilled, alone=True)


# the end of the day


def day_to_close(desk: KilledDesk) -> Arguments:
    closed = AccountDay.objects.filter(account=desk.account).order_by("date").values_list("date", flat=True).last()
    return (calendar.next_session(closed or FIRST_DAY),)


def close(place: Place, day: date) -> None:
    close_session(account=place.account(), day=day, wall_now=place.wall)


def close_again(desk: KilledDesk, day: date) -> None:
    close(desk.place(), day)


def is_closed_once(desk: KilledDesk, day: date) -> None:
    closed = AccountDay.objects.get(account=desk.account, date=day)
    strategies = StrategyDay.objects.filter(account=desk.account, date=day)
    assert strategies.count() == strategies.values("strategy_id").distinct().count()
    assert close_session(account=desk.fresh(), day=day, wall_now=desk.wall).pk == closed.pk


CLOSING = Case(prepare=day_to_close, work=close, again=close_again, holds=is_closed_once)

CASES: dict[Point, Case] = {
    **dict.fromkeys(
        (Point.GATE_BEFORE_WRITE, Point.GATE_BEFORE_COMMIT, Point.GATE_AFTER_COMMIT),
        Case(prepare=wishes, work=submit, again=submit_again, holds=each_is_one_order, passages=3),
    ),
    Point.GROUP_BEFORE_COMMIT: Case(prepare=group, work=submit_bracket, again=bracket_again, holds=bracket_is_whole),
    **dict.fromkeys(
        (
            Point.CLAIM_BEFORE_COMMIT,
            Point.CLAIM_AFTER_COMMIT,
            Point.SUBMIT_BEFORE_CALL,
            Point.SUBMIT_AFTER_CALL,
            Point.ANSWERS_BEFORE_SAVE,
            Point.ANSWERS_BEFORE_COMMIT,
            Point.ANSWERS_AFTER_COMMIT,
        ),
        SENDING,
    ),
    **dict.fromkeys((Point.REPLACE_BEFORE_WRITE, Point.REPLACE_BEFORE_COMMIT, Point.REPLACE_AFTER_COMMIT), CHANGING),
    **dict.fromkeys((Point.REPLACE_BEFORE_CALL, Point.REPLACE_AFTER_CALL), CHANGES),
    **dict.fromkeys((Point.CANCEL_BEFORE_COMMIT, Point.CANCEL_AFTER_COMMIT), CANCELING),
    **dict.fromkeys((Point.CANCEL_BEFORE_CALL, Point.CANCEL_AFTER_CALL), CANCELS),
    **dict.fromkeys((Point.CHECK_AFTER_EXECUTIONS, Point.INBOX_BEFORE_COMMIT, Point.INBOX_AFTER_COMMIT), LOOKING),
    Point.UPDATES_BEFORE_ENDS: LISTENING,
    **dict.fromkeys(
        (
            Point.REPORTS_BEFORE_SAVE,
            Point.REPORTS_BEFORE_CURSOR,
            Point.REPORTS_BEFORE_COMMIT,
            Point.REPORTS_AFTER_COMMIT,
        ),
        BOOKING,
    ),
    **dict.fromkeys(
        (
            Point.RECOVERY_AFTER_REPORTS,
            Point.RESOLVE_AFTER_ASKING,
            Point.RESOLVE_BEFORE_COMMIT,
            Point.RECOVERY_BEFORE_STATE,
            Point.RECOVERY_AFTER_STATE,
        ),
        STARTING,
    ),
    **dict.fromkeys(
        (Point.KILL_AFTER_ROW, Point.KILL_BEFORE_COMMIT, Point.KILL_BETWEEN_ACCOUNTS, Point.KILL_AFTER_CANCELS),
        STOPPING,
    ),
    **dict.fromkeys((Point.HALT_AFTER_CANCELS, Point.HALT_AFTER_LOOK), STEPS),
    **dict.fromkeys(
        (Point.HALT_AFTER_ORDER, Point.HALT_AFTER_CLOSING, Point.HALT_BEFORE_END, Point.HALT_AFTER_END), PROVING
    ),
    **dict.fromkeys((Point.LOCK_AFTER_NOTE, Point.LOCK_AFTER_CALL), LOCKING),
    **dict.fromkeys((Point.WISH_BEFORE_KEPT, Point.WISH_AFTER_KEPT), KEEPING),
    **dict.fromkeys((Point.WISH_BEFORE_MOVE, Point.WISH_AFTER_MOVE), FULFILLING),
    **dict.fromkeys((Point.CLOSE_BETWEEN_ROWS, Point.CLOSE_BEFORE_COMMIT), CLOSING),
}
