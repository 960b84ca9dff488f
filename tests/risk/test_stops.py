"""The ladder of the kill switch: what each level lets pass, which scopes cover an order, and that only two go down."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from risk import selectors
from risk.checks.state import check_kill_switch
from risk.errors import InvalidLevel, RequestNotPending, TooSoon, WrongWord
from risk.models import GLOBAL_SCOPE, KillSwitchEvent
from risk.services import kill_switch
from risk.states import SwitchLevel
from risk.stops import LADDER, Cancels, Stop, StopScopes, rank, strongest
from risk.types import Origin
from tests.risk.cases import make_case, make_intent, make_state, reducing
from tests.risk.threads import in_another_transaction

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
REASON = "the feed looks wrong"
PASSES = {  # adding, reducing, closing
    SwitchLevel.ACTIVE: (True, True, True),
    SwitchLevel.REDUCING: (False, True, True),
    SwitchLevel.HALTED: (False, False, False),
    SwitchLevel.FLATTENING: (False, False, True),
}


def engage(scope=GLOBAL_SCOPE, level=SwitchLevel.HALTED, *, operator="alice", reason=REASON, now=NOW):
    return kill_switch.engage(scope=scope, operator=operator, reason=reason, source="command", now=now, level=level)


def release(scope=GLOBAL_SCOPE, *, now=NOW, **fields):
    return kill_switch.disengage(
        scope=scope, operator="alice", second_operator="bob", reason=REASON, source="command", now=now, **fields
    )


@pytest.mark.parametrize("level", SwitchLevel)
def test_what_each_level_lets_pass(level):
    stop = Stop(level, ("global",))
    passed = (
        stop.lets_pass(reduces=False, closes=False),
        stop.lets_pass(reduces=True, closes=False),
        stop.lets_pass(reduces=True, closes=True),
    )
    assert passed == PASSES[level]
    assert not stop.lets_pass(reduces=False, closes=True) or level == SwitchLevel.ACTIVE


@pytest.mark.parametrize(
    ("level", "kind", "origin"), list(itertools.product(SwitchLevel, ("adding", "reducing"), Origin))
)
def test_the_gate_reads_the_ladder(level, kind, origin):
    engaged = () if level == SwitchLevel.ACTIVE else ("global",)
    case = make_case(
        state=make_state(halted_by=engaged, halt_level=level.value), intent=make_intent(origin=origin, reduce_only=True)
    )
    case = reducing(case) if kind == "reducing" else case
    closes = origin == Origin.FLATTEN
    expected = PASSES[level][0] or (kind == "reducing" and (PASSES[level][1] or (closes and PASSES[level][2])))
    assert (check_kill_switch(case) is None) is expected


def test_each_level_stops_more_than_the_one_before():
    assert [rank(level) for level in SwitchLevel] == [0, 1, 2, 3]
    assert [LADDER[level].cancels for level in SwitchLevel] == [
        *(Cancels.NOTHING, Cancels.INCREASING, Cancels.EVERYTHING, Cancels.EVERYTHING),
    ]
    assert strongest(["reducing", "flattening", "halted"]) == SwitchLevel.FLATTENING


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        ("global", True),
        ("account:paper", True),
        ("account:other", False),
        ("strategy:manual", True),
        ("strategy:other", False),
        ("symbol:AAPL", True),
        ("symbol:MSFT", False),
    ],
)
def test_an_order_is_stopped_by_the_scopes_that_cover_it(scope, covers):
    stops = StopScopes.read([f"halted {scope}"], has_global=True)
    stop = stops.stop_of(account_scope="account:paper", strategy="manual", symbol="AAPL")
    assert stop == (Stop(SwitchLevel.HALTED, (scope,)) if covers else Stop())


def test_a_global_switch_that_was_never_stored_halts():
    """Case 156: no state means stop."""
    stops = StopScopes.read(["reducing symbol:AAPL"], has_global=False)
    stop = stops.stop_of(account_scope="account:paper", strategy="manual", symbol="AAPL")
    assert stop == Stop(SwitchLevel.HALTED, ("global", "symbol:AAPL"))


@pytest.mark.django_db
def test_one_person_goes_up_any_number_of_steps_and_never_down():
    for level, after in (("reducing", "reducing"), ("flattening", "flattening"), ("reducing", "flattening")):
        engage(level=level, reason=f"{REASON}: {level}")
        assert selectors.level_of(GLOBAL_SCOPE) == after
    [status] = selectors.kill_switch_status()
    assert (status.level, status.engaged) == (SwitchLevel.FLATTENING, True)


@pytest.mark.django_db
@pytest.mark.parametrize("level", ["active", "off", "", "HALTED"])
def test_what_is_no_level_to_engage_is_refused(level):
    with pytest.raises(InvalidLevel, match="allowed are reducing, halted, flattening"):
        engage(level=level)
    assert not KillSwitchEvent.objects.exists()


@pytest.mark.django_db
def test_two_people_go_down_a_step_or_all_of_them():
    engage(level="flattening")
    event = release(to_level="reducing")
    assert (event.engaged, selectors.level_of(GLOBAL_SCOPE)) == (False, SwitchLevel.REDUCING)
    release(now=NOW + timedelta(minutes=1))
    assert selectors.level_of(GLOBAL_SCOPE) == SwitchLevel.ACTIVE


@pytest.mark.django_db
@pytest.mark.parametrize("to_level", ["halted", "flattening", "nonsense"])
def test_a_release_goes_down(to_level):
    engage()
    with pytest.raises(InvalidLevel):
        release(to_level=to_level)
    with pytest.raises(InvalidLevel):
        kill_switch.request_release(scope=GLOBAL_SCOPE, operator="alice", reason=REASON, now=NOW, to_level=to_level)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scope", ["global", "symbol:AAPL"])
def test_167_an_engage_under_way_during_a_release_outlives_it_whoever_commits_last(scope):
    """Its number is the smaller one and its commit the later one: the release has not seen it, so it stays."""
    engage(scope)
    with in_another_transaction(lambda: engage(scope, operator="carol", reason="no, it is not over")):
        release(scope)
        assert not selectors.is_engaged(scope)
    assert selectors.is_engaged(scope)


@pytest.mark.django_db(transaction=True)
def test_control_a_release_of_everything_before_it_loses_the_engage_under_way(monkeypatch):
    """What naming the released engage is for."""
    engage()
    stored = kill_switch._store
    forgetful = {"releases": None}
    monkeypatch.setattr(kill_switch, "_store", lambda **fields: stored(**fields | forgetful))
    with in_another_transaction(lambda: engage(operator="carol", reason="no, it is not over")):
        release()
    assert not selectors.is_engaged(GLOBAL_SCOPE)


@pytest.mark.django_db(transaction=True)
def test_167_an_approval_that_did_not_see_an_engage_under_way_does_not_release_it():
    engage()
    request = kill_switch.request_release(scope=GLOBAL_SCOPE, operator="alice", reason=REASON, now=NOW)
    with in_another_transaction(lambda: engage(operator="carol", reason="no, it is not over")):
        kill_switch.approve_release(request_id=request.pk, operator="bob", source="console", now=NOW)
    assert selectors.is_engaged(GLOBAL_SCOPE)


@pytest.mark.django_db
def test_a_later_engage_of_the_same_instant_voids_a_request():
    engage()
    request = kill_switch.request_release(scope=GLOBAL_SCOPE, operator="alice", reason=REASON, now=NOW)
    engage(operator="carol")
    with pytest.raises(RequestNotPending, match="engaged again by carol"):
        kill_switch.approve_release(request_id=request.pk, operator="bob", source="console", now=NOW)
    again = kill_switch.request_release(scope=GLOBAL_SCOPE, operator="alice", reason=REASON, now=NOW)
    assert again.pk != request.pk


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "fits"), [(0, False), (59, False), (60, True), (61, True)])
def test_a_release_waits_between_asking_and_approving(settings, seconds, fits):
    settings.RELEASE_WAIT_SECONDS = 60
    engage()
    request = kill_switch.request_release(scope=GLOBAL_SCOPE, operator="alice", reason=REASON, now=NOW)
    later = NOW + timedelta(seconds=seconds)
    if fits:
        kill_switch.approve_release(request_id=request.pk, operator="bob", source="console", now=later)
    else:
        with pytest.raises(TooSoon, match="15:01:00 UTC"):
            kill_switch.approve_release(request_id=request.pk, operator="bob", source="console", now=later)
    assert selectors.is_engaged(GLOBAL_SCOPE) is not fits


@pytest.mark.parametrize(
    ("scope", "word", "fits"),
    [
        ("global", "RELEASE GLOBAL", True),
        ("global", " release  global ", True),
        ("strategy:momentum", "RELEASE STRATEGY:MOMENTUM", True),
        ("global", "RELEASE", False),
        ("global", "", False),
        ("global", None, False),
        ("account:paper", "RELEASE GLOBAL", False),
    ],
)
def test_who_releases_types_which_scope_is_meant(scope, word, fits):
    if fits:
        kill_switch.require_word(scope, word)
    else:
        with pytest.raises(WrongWord, match="type RELEASE"):
            kill_switch.require_word(scope, word)
