"""The break-glass command: short, never refused for want of an account, honest when the database is away."""

import json

import pytest
from django.db import OperationalError

from execution.models import Order
from execution.services.wishes import fulfil_wishes, keep_wish, kept_wishes
from execution.states import OrderStatus
from ops_console.management.commands import kill_switch as command
from risk.models import KillSwitchEvent, ReleaseRequest
from risk.selectors import is_engaged
from tests.factories import WALL_NOW, make_account, make_order
from tests.ops_console.commands.terminal import make_user, run, typing

pytestmark = pytest.mark.django_db
WHY = ("--reason", "feed looks wrong")


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path


@pytest.fixture
def two_officers():
    return make_user("alice", "risk_officer"), make_user("bob", "risk_officer")


@pytest.fixture
def off():
    return make_account()


def release(*more):
    return run(
        "kill_switch", "disengage", "--operator", "alice", "--second-operator", "bob", "--reason",
        "feed repaired and checked", "--word", "RELEASE GLOBAL", *more,
    )  # fmt: skip


def test_status_without_a_row_is_engaged():
    outcome = run("kill_switch", "status")
    assert (outcome.code, outcome.out.split(":")[0]) == (3, "global")
    assert "no state is stored" in outcome.out


def test_status_off_and_on(off):
    assert run("kill_switch", "status").code == 0
    run("kill_switch", "engage", *WHY)
    outcome = run("kill_switch", "status", "--json")
    assert (outcome.code, outcome.document["engaged"]) == (3, True)
    assert outcome.document["switches"][0]["reason"] == WHY[1]


def test_the_shortest_form_stops_everything_and_says_what_it_did(off):
    order = make_order(off)
    outcome = run("kill_switch", "engage", *WHY)
    assert outcome.code == 0
    assert "ENGAGED global" in outcome.out
    assert "canceled before they were sent: 1" in outcome.out
    assert "to be canceled at the broker by the dispatcher: 0" in outcome.out
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELED
    assert is_engaged("global")


def test_what_was_sent_is_left_to_the_dispatcher_and_counted(off):
    order = make_order(off)
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.SUBMITTED)
    outcome = run("kill_switch", "engage", "--json", *WHY)
    assert (outcome.document["canceled_unsent"], outcome.document["cancel_requested"]) == (0, 1)
    order.refresh_from_db()
    assert order.status == OrderStatus.PENDING_CANCEL


def test_anybody_may_engage_under_any_name(off, monkeypatch):
    monkeypatch.setattr(command, "operating_system_user", lambda: "somebody")
    run("kill_switch", "engage", *WHY)
    assert KillSwitchEvent.objects.first().operator == "somebody"
    run("kill_switch", "engage", "--operator", "nobody we know", *WHY)
    assert KillSwitchEvent.objects.first().operator == "nobody we know"


@pytest.mark.parametrize(("option", "scope"), [("--strategy", "strategy:manual"), ("--account", "account:desk")])
def test_a_narrower_scope_stops_only_that(off, option, scope):
    assert run("kill_switch", "engage", option, scope.split(":")[1], *WHY).code == 0
    assert (is_engaged(scope), is_engaged("global")) == (True, False)
    assert run("kill_switch", "status", option, scope.split(":")[1]).code == 3
    assert run("kill_switch", "status").code == 0


def test_a_reason_is_asked_for_at_a_terminal_only(off, monkeypatch):
    typing(monkeypatch, "the feed looks wrong\n")
    assert run("kill_switch", "engage").code == 0
    assert KillSwitchEvent.objects.first().reason == "the feed looks wrong"


def test_without_a_terminal_a_missing_reason_is_one_clear_line(off, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    outcome = run("kill_switch", "engage")
    assert (outcome.code, outcome.err.count("\n")) == (1, 0)
    assert outcome.err.startswith("--reason: missing")


@pytest.mark.parametrize("reason", ["short", "x" * 501])
def test_a_bad_reason_is_refused(off, reason):
    outcome = run("kill_switch", "engage", "--reason", reason)
    assert (outcome.code, is_engaged("global")) == (1, False)
    assert "10 to 500" in outcome.err


def test_two_officers_release(two_officers):
    run("kill_switch", "engage", *WHY)
    outcome = release()
    assert (outcome.code, is_engaged("global")) == (0, False)
    event = KillSwitchEvent.objects.first()
    assert (event.operator, event.second_operator) == ("alice", "bob")


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        ("alice", "alice", "two different operators"),
        ("alice", "mallory", "--second-operator: there is no user 'mallory'"),
        ("mallory", "bob", "--operator: there is no user 'mallory'"),
        ("trader", "bob", "--operator: user trader may not let trading go on"),
        ("alice", "trader", "--second-operator: user trader may not"),
        ("alice", "gone", "--second-operator: user gone is switched off"),
    ],
)
def test_release_needs_two_who_exist_and_may(two_officers, first, second, complaint):
    make_user("trader", "trader")
    make_user("gone", "admin", is_active=False)
    run("kill_switch", "engage", *WHY)
    outcome = run(
        "kill_switch",
        "disengage",
        "--operator",
        first,
        "--second-operator",
        second,
        "--reason",
        "all is well again",
        "--word",
        "release global",
    )
    assert (outcome.code, is_engaged("global")) == (1, True)
    assert complaint in outcome.err


def test_one_officer_alone_asks_and_another_approves_elsewhere(two_officers):
    run("kill_switch", "engage", *WHY)
    outcome = run(
        "kill_switch",
        "disengage",
        "--operator",
        "alice",
        "--reason",
        "feed repaired, checked",
        "--word",
        "RELEASE GLOBAL",
    )
    assert (outcome.code, is_engaged("global")) == (3, True)
    assert "STILL ENGAGED" in outcome.out
    assert ReleaseRequest.objects.get().requested_by == "alice"


def test_one_time_codes_are_refused_until_they_exist(two_officers):
    outcome = release("--totp", "123456")
    assert (outcome.code, "not set up" in outcome.err) == (1, True)


def away(*_args, **_kwargs):
    raise OperationalError("connection refused\nIs the server running?")


@pytest.fixture
def database_away(monkeypatch):
    for name in ("kill_switch_status", "engage_kill_switch", "is_engaged", "_do_not_wait_for_others"):
        monkeypatch.setattr(command, name, away)


def test_status_is_unknown_when_the_database_is_away(database_away):
    outcome = run("kill_switch", "status")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == "kill switch: UNKNOWN, the database does not answer: connection refused\n"
    document = run("kill_switch", "status", "--json").document
    assert (document["engaged"], document["state"]) == (None, "unknown")


def test_engage_with_the_database_away_keeps_the_wish_and_does_not_claim_success(database_away, tmp_path):
    outcome = run("kill_switch", "engage", "--operator", "carol", *WHY)
    assert outcome.code == 4
    assert outcome.err.startswith("NOT ENGAGED")
    [written] = json.loads((tmp_path / "run" / "kill_switch_engage.json").read_text())
    assert (written["scope"], written["operator"], written["reason"]) == ("global", "carol", WHY[1])


def test_wishes_are_carried_out_once(off, tmp_path):
    keep_wish(tmp_path, scope="global", operator="carol", reason=WHY[1], source="command", wall_now=WALL_NOW)
    keep_wish(tmp_path, scope="strategy:manual", operator="dave", reason=WHY[1], source="command", wall_now=WALL_NOW)
    assert len(fulfil_wishes(tmp_path, wall_now=WALL_NOW)) == 2
    assert (is_engaged("global"), is_engaged("strategy:manual"), kept_wishes(tmp_path)) == (True, True, [])
    assert fulfil_wishes(tmp_path, wall_now=WALL_NOW) == []


def test_an_unreadable_wish_stops_everything(off, tmp_path):
    path = keep_wish(tmp_path, scope="global", operator="c", reason=WHY[1], source="command", wall_now=WALL_NOW)
    path.write_text("{ half a fi")
    [wish] = kept_wishes(tmp_path)
    assert wish.scope == "global"
    fulfil_wishes(tmp_path, wall_now=WALL_NOW)
    assert is_engaged("global")


def test_nothing_is_released_while_a_wish_waits(two_officers, tmp_path):
    keep_wish(tmp_path, scope="global", operator="carol", reason=WHY[1], source="command", wall_now=WALL_NOW)
    outcome = release()
    assert (outcome.code, "waits on disk" in outcome.err) == (1, True)
    run("kill_switch", "engage", *WHY)
    assert kept_wishes(tmp_path) == []
    assert release().code == 0


def test_engaged_but_cancels_failed_is_told_apart(off, monkeypatch):
    def half(**fields):
        KillSwitchEvent.objects.create(
            scope="global", engaged=True, operator="x", reason=fields["reason"], source="command", at=WALL_NOW
        )
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(command, "engage_kill_switch", half)
    outcome = run("kill_switch", "engage", *WHY)
    assert outcome.code == 1
    assert outcome.err.startswith("ENGAGED global, but open orders could not all be canceled")
