"""The break-glass command goes up a ladder, counts first, waits for the proof, and needs two to come down."""

from datetime import timedelta

import pytest

from execution.halting.procedure import advance
from execution.models import HaltProcedure, HaltResidue, Order
from execution.services.wishes import fulfil_wishes, keep_wish
from ops_console.management.commands import kill_switch as command
from risk.models import ReleaseRequest
from risk.selectors import level_of
from risk.states import SwitchLevel
from tests.factories import WALL_NOW, D, allow_bursts, make_account, make_order
from tests.ops_console.commands.terminal import make_user, run
from trading.models import Heartbeat

pytestmark = pytest.mark.django_db
WHY = ("--reason", "feed looks wrong")
WORD = ("--word", "RELEASE GLOBAL")
GOOD = ("--reason", "feed repaired and checked")


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path


@pytest.fixture
def desk():
    make_user("alice", "risk_officer")
    make_user("bob", "risk_officer")
    allow_bursts()
    return make_account(name="paper")


@pytest.mark.parametrize(
    ("options", "level", "said"),
    [
        ((), "halted", "no order passes"),
        (("--level", "reducing"), "reducing", "only orders that reduce a position pass"),
        (("--flatten",), "flattening", "no order passes, positions are closed"),
    ],
)
def test_one_person_goes_up_at_once(desk, options, level, said):
    outcome = run("kill_switch", "engage", *options, *WHY)
    assert (outcome.code, level_of("global")) == (0, level)
    assert said in outcome.out


def test_a_symbol_is_a_scope(desk):
    run("kill_switch", "engage", "--symbol", "aapl", *WHY)
    assert level_of("symbol:AAPL") == SwitchLevel.HALTED
    assert run("kill_switch", "status", "--symbol", "AAPL").code == 3


def test_a_preview_counts_and_changes_nothing(desk):
    make_order(desk)
    document = run("kill_switch", "preview", "--flatten", "--json").document
    assert (document["open_orders"], document["level_then"], document["runs_pending"]) == (1, "flattening", 0)
    outcome = run("kill_switch", "preview", "--level", "reducing")
    assert outcome.code == 0
    assert "1 open orders over 1,000.00" in outcome.out
    assert level_of("global") == SwitchLevel.ACTIVE


def test_162_a_dispatcher_that_is_silent_is_told(desk):
    assert "no dispatcher has ever given a sign of life" in run("kill_switch", "preview").out
    Heartbeat.objects.create(name="dispatcher", at=command.wall_now() - timedelta(seconds=14))
    for outcome in (run("kill_switch", "engage", *WHY), run("kill_switch", "status"), run("kill_switch", "preview")):
        assert "cancels wait: dispatcher silent 14 s" in outcome.out.replace("15 s", "14 s")


def test_162_with_the_dispatcher_dead_the_command_carries_it_out_itself(desk):
    make_order(desk, order_type="limit", limit_price=D(99))
    outcome = run("kill_switch", "engage", "--direct", "--wait", "20", *WHY)
    assert outcome.code == 0, outcome.out + outcome.err
    assert "verified at the broker" in outcome.out
    assert HaltProcedure.objects.get().state == "verified"


def test_what_is_not_proved_in_time_is_said_with_5(desk):
    order = make_order(desk)
    Order.objects.filter(pk=order.pk).update(status="submitted")
    outcome = run("kill_switch", "engage", "--wait", "1", "--json", *WHY)
    assert (outcome.code, outcome.document["state"]) == (5, "canceling")


@pytest.mark.parametrize("seconds", ["0", "3601", "-1", "soon"])
def test_how_long_to_wait_is_bounded(desk, seconds):
    assert "from 1 to 3600" in run("kill_switch", "engage", "--wait", seconds, *WHY).err
    assert level_of("global") == SwitchLevel.ACTIVE


@pytest.mark.parametrize("word", ["", "RELEASE", "release symbol:AAPL"])
def test_a_release_needs_the_word_of_its_scope(desk, word):
    run("kill_switch", "engage", *WHY)
    outcome = run("kill_switch", "disengage", "--operator", "alice", "--word", word, *GOOD)
    assert (outcome.code, ReleaseRequest.objects.count()) == (1, 0)
    assert "type RELEASE GLOBAL" in outcome.err


def test_a_request_states_what_it_releases_and_waits(desk, settings):
    settings.RELEASE_WAIT_SECONDS = 60
    run("kill_switch", "engage", *WHY)
    asked = run("kill_switch", "disengage", "--operator", "alice", "--json", *WORD, *GOOD)
    assert asked.code == 3
    assert "feed looks wrong" in asked.document["releases"][0]
    early = run("kill_switch", "approve", "--request", str(asked.document["request_id"]), "--operator", "bob")
    assert (early.code, level_of("global")) == (1, SwitchLevel.HALTED)
    assert "can be approved from" in early.err
    settings.RELEASE_WAIT_SECONDS = 0
    late = run("kill_switch", "approve", "--request", str(asked.document["request_id"]), "--operator", "bob")
    assert (late.code, level_of("global")) == (0, SwitchLevel.ACTIVE)


def test_168_the_one_who_asked_does_not_approve(desk):
    run("kill_switch", "engage", *WHY)
    asked = run("kill_switch", "disengage", "--operator", "alice", "--json", *WORD, *GOOD)
    again = run("kill_switch", "approve", "--request", str(asked.document["request_id"]), "--operator", "alice")
    assert (again.code, level_of("global")) == (1, SwitchLevel.HALTED)


def test_two_people_may_come_down_one_step(desk):
    run("kill_switch", "engage", *WHY)
    outcome = run(
        "kill_switch", "disengage", "--operator", "alice", "--second-operator", "bob", "--to", "reducing", *WORD, *GOOD
    )
    assert (outcome.code, level_of("global")) == (0, SwitchLevel.REDUCING)


def test_what_a_flatten_has_left_is_accepted_by_name_before_a_release(desk):
    run("kill_switch", "engage", "--flatten", *WHY)
    halt = HaltProcedure.objects.get()
    HaltProcedure.objects.update(state="residue")
    HaltResidue.objects.create(
        procedure=halt, kind="position", name="manual/AAPL", symbol="AAPL", quantity=1, why="refused",
        found_at=WALL_NOW, seen_at=WALL_NOW,
    )  # fmt: skip
    refused = run("kill_switch", "disengage", "--operator", "alice", *WORD, *GOOD)
    assert (refused.code, "manual/AAPL (refused)" in refused.err) == (1, True)
    assert "manual/AAPL" in run("kill_switch", "status").out
    taken = run("kill_switch", "accept", "--halt", str(halt.pk), "--name", "manual/AAPL", "--operator", "bob", *GOOD)
    assert (taken.code, HaltResidue.objects.get().accepted_by) == (0, "bob")
    assert run("kill_switch", "disengage", "--operator", "alice", *WORD, *GOOD).code == 3


def test_158_a_wish_that_waits_on_disk_keeps_its_level(desk, tmp_path):
    keep_wish(
        tmp_path, scope="global", operator="carol", reason=WHY[1], source="command", wall_now=WALL_NOW,
        level="flattening", at_open=True,
    )  # fmt: skip
    fulfil_wishes(tmp_path, wall_now=WALL_NOW)
    halt = HaltProcedure.objects.get()
    assert (level_of("global"), halt.flatten, halt.at_open) == (SwitchLevel.FLATTENING, True, True)


def test_169_the_command_writes_the_same_row_as_everybody(desk):
    run("kill_switch", "engage", "--operator", "carol", *WHY)
    halt = HaltProcedure.objects.get()
    assert (halt.operator, halt.reason, halt.scope) == ("carol", WHY[1], "global")
    assert advance(account=desk, broker=None, wall_now=WALL_NOW - timedelta(days=1)) == 0
