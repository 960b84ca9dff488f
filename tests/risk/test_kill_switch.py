"""The kill switch: missing means engaged, engaging is always possible, releasing takes two."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier, BrokenBarrierError

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from risk import selectors
from risk.errors import (
    AlreadyInState,
    InvalidReason,
    InvalidScope,
    RequestNotPending,
    RiskError,
    SecondOperatorRequired,
    TooSoon,
)
from risk.models import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest
from risk.services import kill_switch
from risk.signals import trading_state_changed
from risk.states import ReleaseState
from tests.risk.threads import in_another_transaction, together

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
REASON = "the feed looks wrong"
SCOPES = ("global", "strategy:momentum", "account:paper")


def engage(scope=GLOBAL_SCOPE, *, operator="alice", reason=REASON, now=NOW):
    return kill_switch.engage(scope=scope, operator=operator, reason=reason, source="command", now=now)


def disengage(scope=GLOBAL_SCOPE, *, operator="alice", second_operator="bob", reason=REASON, now=NOW):
    return kill_switch.disengage(
        scope=scope, operator=operator, second_operator=second_operator, reason=reason, source="command", now=now
    )


def ask(scope=GLOBAL_SCOPE, *, operator="alice", now=NOW):
    return kill_switch.request_release(scope=scope, operator=operator, reason=REASON, now=now)


def approve(request, *, operator="bob", now=NOW):
    return kill_switch.approve_release(request_id=request.pk, operator=operator, source="console", now=now)


@pytest.fixture(autouse=True)
def _no_rows_of_the_installation(db):
    assert not KillSwitchEvent.objects.exists()


def test_without_a_row_global_is_engaged_and_says_so():
    assert selectors.is_engaged(GLOBAL_SCOPE)
    [status] = selectors.kill_switch_status()
    assert (status.scope, status.engaged, status.at) == (GLOBAL_SCOPE, True, None)
    assert "no state is stored" in status.reason


@pytest.mark.parametrize("scope", SCOPES[1:])
def test_without_a_row_other_scopes_are_off(scope):
    assert not selectors.is_engaged(scope)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_newest_row_of_a_scope_counts(scope):
    engage(scope)
    assert selectors.is_engaged(scope)
    disengage(scope)
    assert not selectors.is_engaged(scope)
    engage(scope, now=NOW + timedelta(seconds=1))
    assert selectors.is_engaged(scope)


def test_status_lists_global_first_and_every_scope_once_in_one_query(django_assert_num_queries):
    for scope in reversed(SCOPES):
        engage(scope)
        disengage(scope)
    engage("strategy:momentum", operator="carol")
    with django_assert_num_queries(1):
        found = selectors.kill_switch_status()
    assert [(status.scope, status.engaged) for status in found] == [
        ("global", False),
        ("account:paper", False),
        ("strategy:momentum", True),
    ]
    assert found[2].operator == "carol"


@pytest.mark.parametrize(("length", "fits"), [(0, False), (9, False), (10, True), (500, True), (501, False)])
@pytest.mark.parametrize("call", [engage, disengage])
def test_length_of_the_reason(call, length, fits):
    if fits:
        assert call(reason="x" * length).reason == "x" * length
    else:
        with pytest.raises(InvalidReason, match=f"{length} characters"):
            call(reason="x" * length)
        assert not KillSwitchEvent.objects.exists()


def test_blanks_around_a_reason_do_not_count():
    with pytest.raises(InvalidReason):
        engage(reason="  too short ".ljust(40))


@pytest.mark.parametrize(
    "scope", ["", "GLOBAL", "strategy:", "account:", "strategy", "user:bob", "strategy:a b", "strategy:x;", " global"]
)
def test_unknown_scope_is_refused(scope):
    for call in (engage, disengage, ask):
        with pytest.raises(InvalidScope):
            call(scope)
    assert not KillSwitchEvent.objects.exists()


def test_engaging_again_stores_who_and_why_but_a_second_click_does_not():
    first = engage()
    assert engage(now=NOW + timedelta(seconds=1)) == first
    assert engage(reason=f"{REASON}: still") != first
    assert engage(operator="bob", reason=f"{REASON}: still").operator == "bob"
    assert KillSwitchEvent.objects.count() == 3


@pytest.mark.parametrize(
    ("first", "second"), [("alice", "alice"), ("alice", ""), ("", "bob"), ("", ""), ("EXTERNAL", "EXTERNAL")]
)
def test_release_needs_two_different_people_in_the_service_and_in_the_database(first, second):
    engage()
    with pytest.raises(SecondOperatorRequired):
        disengage(operator=first, second_operator=second)
    with pytest.raises(IntegrityError, match="killswitch_"), transaction.atomic():
        KillSwitchEvent.objects.create(
            scope=GLOBAL_SCOPE,
            engaged=False,
            operator=first,
            second_operator=second,
            reason=REASON,
            source="api",
            at=NOW,
        )
    assert selectors.is_engaged(GLOBAL_SCOPE)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("killswitch_reason_length", {"reason": "x" * 9}),
        ("killswitch_reason_length", {"reason": "x" * 501}),
        ("killswitch_scope_form", {"scope": "everything"}),
        ("killswitch_operator_named", {"operator": ""}),
    ],
)
def test_the_database_keeps_the_form_of_events(constraint, fields):
    good = {"scope": GLOBAL_SCOPE, "engaged": True, "operator": "alice", "reason": REASON, "source": "api", "at": NOW}
    with pytest.raises(IntegrityError, match=constraint):
        KillSwitchEvent.objects.create(**good | fields)


def test_only_what_is_engaged_can_be_released():
    with pytest.raises(AlreadyInState, match="never engaged"):
        disengage("strategy:momentum")
    disengage()  # global without a row counts as engaged
    with pytest.raises(AlreadyInState, match="already off"):
        disengage(now=NOW + timedelta(minutes=5))


@pytest.mark.parametrize(("seconds", "fits"), [(0, False), (59, False), (60, True), (61, True)])
def test_one_release_a_minute_while_engaging_has_no_such_limit(seconds, fits):
    engage()
    disengage()
    engage()
    later = NOW + timedelta(seconds=seconds)
    if fits:
        disengage(now=later)
        assert not selectors.is_engaged(GLOBAL_SCOPE)
    else:
        with pytest.raises(TooSoon):
            disengage(now=later)
        assert selectors.is_engaged(GLOBAL_SCOPE)


def test_installation_opens_once_and_its_release_starts_no_pause():
    event = kill_switch.install(operator="system", now=NOW)
    assert event is not None
    assert not selectors.is_engaged(GLOBAL_SCOPE)
    assert kill_switch.install(operator="system", now=NOW) is None
    engage()
    assert kill_switch.install(operator="system", now=NOW) is None
    disengage()
    assert not selectors.is_engaged(GLOBAL_SCOPE)


def test_news_go_out_after_the_commit_with_the_scope(django_capture_on_commit_callbacks):
    heard = []

    def hear(sender, scope, **_):
        heard.append((sender, scope))

    trading_state_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            engage("strategy:momentum")
            assert heard == []
    finally:
        trading_state_changed.disconnect(hear)
    assert heard == [(KillSwitchEvent, "strategy:momentum")]


def test_release_by_request_and_approval():
    engage()
    request = ask()
    assert selectors.is_engaged(GLOBAL_SCOPE)
    event = approve(request, now=NOW + timedelta(seconds=1))
    request.refresh_from_db()
    assert (event.operator, event.second_operator) == ("alice", "bob")
    assert (request.state, request.decided_by) == (ReleaseState.APPROVED, "bob")
    assert not selectors.is_engaged(GLOBAL_SCOPE)


def test_the_requester_cannot_approve():
    engage()
    request = ask()
    with pytest.raises(SecondOperatorRequired):
        approve(request, operator="alice")
    request.refresh_from_db()
    assert (request.state, selectors.is_engaged(GLOBAL_SCOPE)) == (ReleaseState.PENDING, True)
    with pytest.raises(IntegrityError, match="releaserequest_other_person"):
        ReleaseRequest.objects.filter(pk=request.pk).update(state="approved", decided_by="alice", decided_at=NOW)


@pytest.mark.parametrize(("minutes", "fits"), [(14, True), (15, False), (16, False)])
def test_a_request_lives_for_a_quarter_of_an_hour(minutes, fits):
    engage()
    request = ask()
    later = NOW + timedelta(minutes=minutes)
    if fits:
        approve(request, now=later)
    else:
        with pytest.raises(RequestNotPending, match="expired"):
            approve(request, now=later)
    assert selectors.is_engaged(GLOBAL_SCOPE) is not fits


def test_asking_again_returns_the_waiting_request_and_a_new_one_when_it_has_expired():
    engage()
    first = ask()
    assert ask(operator="carol", now=NOW + timedelta(minutes=1)) == first
    second = ask(now=NOW + timedelta(minutes=15))
    first.refresh_from_db()
    assert (second.pk != first.pk, first.state) == (True, ReleaseState.EXPIRED)


def test_a_switch_that_is_off_needs_no_request():
    engage()
    disengage()
    with pytest.raises(AlreadyInState):
        ask()


@pytest.mark.parametrize("operator", ["alice", "bob"])
def test_anybody_may_turn_a_request_down(operator):
    engage()
    request = ask()
    assert kill_switch.reject_release(request_id=request.pk, operator=operator, now=NOW).state == ReleaseState.REJECTED
    with pytest.raises(RequestNotPending, match="rejected"):
        approve(request)


def test_unknown_request_is_refused():
    with pytest.raises(RequestNotPending, match="no release request"):
        kill_switch.approve_release(request_id=999_999, operator="bob", source="console", now=NOW)


def test_engaging_again_makes_a_waiting_request_worthless():
    engage()
    request = ask()
    engage(operator="carol", reason="another thing is wrong now", now=NOW + timedelta(seconds=1))
    with pytest.raises(RequestNotPending, match="engaged again by carol"):
        approve(request, now=NOW + timedelta(minutes=2))
    assert selectors.is_engaged(GLOBAL_SCOPE)


@pytest.mark.django_db(transaction=True)
def test_engaging_waits_for_no_lock():
    from execution.models import Account
    from execution.services.accounts import open_account
    from marketdata.services.feeds import create_manual_feed

    feed = create_manual_feed(name="locked", market_at=NOW)
    open_account(name="locked", mode="paper", kind="desk", feed=feed, starting_cash=1_000, wall_now=NOW)
    kill_switch.install(operator="system", now=NOW)

    def hold_everything():
        list(Account.objects.select_for_update())
        list(KillSwitchEvent.objects.select_for_update())

    with in_another_transaction(hold_everything), connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1ms'")
        try:
            assert engage().engaged
        finally:
            cursor.execute("SET lock_timeout = 0")
        assert selectors.is_engaged(GLOBAL_SCOPE)


@pytest.mark.django_db(transaction=True)
def test_an_engage_during_a_release_outlives_it():
    engage()
    with in_another_transaction(lambda: disengage(now=NOW + timedelta(seconds=1))):
        engage(operator="carol", reason="no, it is not over yet", now=NOW + timedelta(seconds=1))
    assert selectors.is_engaged(GLOBAL_SCOPE)


def approve_twice_at_once(monkeypatch):
    """Let two people approve one request; each waits (shortly) for the other just before the release is written."""
    meet, real = Barrier(2, timeout=1), kill_switch._store

    def meeting_store(**fields):
        with suppress(BrokenBarrierError):
            meet.wait()
        return real(**fields)

    engage()
    request = ask()
    monkeypatch.setattr(kill_switch, "_store", meeting_store)
    outcomes = together(lambda: approve(request, operator="bob"), lambda: approve(request, operator="carol"))
    return outcomes, KillSwitchEvent.objects.filter(engaged=False).count()


@pytest.mark.django_db(transaction=True)
def test_two_approvals_at_once_are_one_release(monkeypatch):
    outcomes, releases = approve_twice_at_once(monkeypatch)
    assert releases == 1
    assert sum(isinstance(outcome, RequestNotPending) for outcome in outcomes) == 1


@pytest.mark.django_db(transaction=True)
def test_control_without_locks_two_approvals_are_two_releases(monkeypatch):
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self)
    outcomes, releases = approve_twice_at_once(monkeypatch)
    assert not any(isinstance(outcome, RiskError) for outcome in outcomes)
    assert releases == 2


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_are_one():
    engage()
    first, second = together(lambda: ask(operator="alice"), lambda: ask(operator="bob"))
    assert first == second
    assert ReleaseRequest.objects.count() == 1
