"""The circuit breaker: missing means tripped, every pair of states, the quiet period, races."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError

from risk import selectors
from risk.errors import AlreadyInState, InvalidReason
from risk.models import BreakerEvent
from risk.services import breaker
from risk.signals import trading_state_changed
from risk.states import BREAKER_TRANSITIONS, BreakerState
from tests.risk.threads import together

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SCOPE = "account:paper"
REASON = "lost more than allowed"
OPEN, TRIPPED, QUIET = BreakerState.OPEN, BreakerState.TRIPPED, BreakerState.QUIET_PERIOD


def trip(now=NOW, reason=REASON, cause="manual"):
    return breaker.trip(scope=SCOPE, cause=cause, reason=reason, operator="alice", now=now)


def reset(now=NOW, reason=REASON):
    return breaker.reset(scope=SCOPE, reason=reason, operator="alice", now=now)


def initialise():
    return breaker.initialise(scope=SCOPE, operator="system", now=NOW)


def bring_to(state):
    if state is not None:
        initialise()
    if state in (TRIPPED, QUIET):
        trip()
    if state == QUIET:
        reset()


def state_at(now=NOW):
    return selectors.breaker_status(SCOPE, now).state


def test_without_a_row_it_is_tripped_and_says_so():
    status = selectors.breaker_status(SCOPE, NOW)
    assert (status.state, status.cause, status.at) == (TRIPPED, "missing", None)


@pytest.mark.parametrize("before", [None, *BreakerState])
@pytest.mark.parametrize(("call", "after"), [(initialise, OPEN), (trip, TRIPPED), (reset, QUIET)])
def test_every_state_and_every_act_follow_the_table(before, call, after):
    bring_to(before)
    count = BreakerEvent.objects.count()
    with suppress(AlreadyInState):
        call()
    stored = BreakerEvent.objects.count() - count
    assert stored == (after in BREAKER_TRANSITIONS[before])
    newest = selectors.newest_breaker_event(SCOPE)
    assert newest is not None
    assert newest.state == (after if stored else before)


@pytest.mark.parametrize("state", [OPEN, QUIET])
def test_only_a_tripped_breaker_is_reset(state):
    bring_to(state)
    with pytest.raises(AlreadyInState, match=state):
        reset()


def test_the_gates_reading_of_a_missing_row_is_tripped():
    assert selectors.breaker_state(state=None, quiet_until=None, wall_now=NOW) == TRIPPED


@pytest.mark.parametrize(("seconds", "expected"), [(0, QUIET), (299, QUIET), (300, OPEN), (301, OPEN)])
def test_the_quiet_period_ends_by_itself(seconds, expected):
    trip()
    event = reset()
    assert event.quiet_until == NOW + timedelta(minutes=5)
    assert state_at(NOW + timedelta(seconds=seconds)) == expected


def test_it_trips_again_during_and_after_the_quiet_period():
    for offset in (timedelta(minutes=1), timedelta(minutes=30)):
        trip(now=NOW)
        reset(now=NOW)
        trip(now=NOW + offset)
        assert state_at(NOW + offset) == TRIPPED


def test_tripping_what_is_tripped_keeps_the_first_cause():
    first = trip(cause="DAILY_LOSS")
    assert trip(cause="DRAWDOWN", now=NOW + timedelta(seconds=1)) == first
    assert BreakerEvent.objects.count() == 1


@pytest.mark.parametrize(("length", "fits"), [(9, False), (10, True), (500, True), (501, False)])
@pytest.mark.parametrize("call", [trip, reset])
def test_length_of_the_reason(call, length, fits):
    if fits:
        assert call(reason="x" * length).reason == "x" * length
    else:
        with pytest.raises(InvalidReason):
            call(reason="x" * length)
        assert not BreakerEvent.objects.exists()


def test_scopes_are_apart():
    initialise()
    breaker.trip(scope="account:other", reason=REASON, operator="alice", now=NOW)
    assert state_at() == OPEN


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("breaker_state_known", {"state": "half_open"}),
        ("breaker_reason_length", {"reason": "short"}),
        ("breaker_quiet_period_ends", {"state": "quiet_period"}),
        ("breaker_quiet_period_ends", {"state": "open", "quiet_until": NOW}),
    ],
)
def test_the_database_keeps_the_form_of_events(constraint, fields):
    good = {"scope": SCOPE, "state": "tripped", "cause": "x", "reason": REASON, "operator": "alice", "at": NOW}
    with pytest.raises(IntegrityError, match=constraint):
        BreakerEvent.objects.create(**good | fields)


def test_news_go_out_after_the_commit(django_capture_on_commit_callbacks):
    heard = []

    def hear(sender, scope, **_):
        heard.append((sender, scope))

    trading_state_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            trip()
    finally:
        trading_state_changed.disconnect(hear)
    assert heard == [(BreakerEvent, SCOPE)]


@pytest.mark.django_db(transaction=True)
def test_many_trips_at_once_are_one_row():
    initialise()
    outcomes = together(*[lambda n=n: trip(cause=f"cause {n}") for n in range(8)])
    assert len({event.pk for event in outcomes}) == 1
    assert BreakerEvent.objects.filter(state=TRIPPED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_resets_at_once_are_one_row():
    trip()
    outcomes = together(*[reset] * 8)
    assert sum(isinstance(outcome, AlreadyInState) for outcome in outcomes) == 7


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_many_trips_are_many_rows(monkeypatch):
    meet, real = Barrier(4, timeout=5), breaker._store

    def meeting_store(*args, **fields):
        meet.wait()
        return real(*args, **fields)

    initialise()
    monkeypatch.setattr(breaker, "_lock", lambda scope: None)
    monkeypatch.setattr(breaker, "_store", meeting_store)
    together(*[lambda n=n: trip(cause=f"cause {n}") for n in range(4)])
    assert BreakerEvent.objects.filter(state=TRIPPED).count() == 4
