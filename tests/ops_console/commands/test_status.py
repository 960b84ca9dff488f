"""The status page: what is not known is never healthy."""

import json
import os
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError

from execution.models import Account, Order
from execution.services.wishes import keep_wish
from execution.states import OrderStatus
from marketdata.clock import wall_now
from marketdata.models import Quote
from marketdata.types import FeedState
from ops_console import selectors
from ops_console.health import silences
from ops_console.selectors import Verdict, desk_status
from risk.services import breaker, kill_switch
from tests.factories import make_account, make_order
from tests.ops_console.commands.terminal import run
from trading.models import Run
from trading.services.heartbeats import beat

pytestmark = pytest.mark.django_db
REASON = "the feed looks wrong"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.TRADING_MODE = "paper"


@pytest.fixture
def healthy(monkeypatch):
    monkeypatch.setattr("ops_console.snapshot.desk.redis_answers", lambda: True)
    for name in silences():
        beat(name=name, wall_now=wall_now())
    return make_account(name="paper")


def verdict():
    return desk_status(wall_now()).verdict


def texts():
    return {finding.name: finding.text for finding in desk_status(wall_now()).findings}


def test_all_well(healthy):
    outcome = run("status")
    assert outcome.code == 0
    assert outcome.out.startswith("HEALTHY  mode paper")
    for word in ("database", "redis", "kill switch", "breaker", "reconciliation", "feed", "dispatcher", "runs"):
        assert word in outcome.out


def test_positions_orders_and_money_are_shown(healthy):
    make_order(healthy)
    out = run("status").out
    assert "open orders" in out
    assert "100,000.00" in out
    document = run("status", "--json").document
    assert (document["verdict"], document["trading_state"]) == ("healthy", "active")
    assert document["open_orders"][0]["symbol"] == "AAPL"
    assert isinstance(document["account"]["equity"], str)
    assert document["positions"][0]["open_buy_quantity"] is not None


@pytest.mark.parametrize("scope", ["global", "account:paper", "strategy:manual"])
def test_an_engaged_switch_is_halted(healthy, scope):
    kill_switch.engage(scope=scope, operator="alice", reason=REASON, source="command", now=wall_now())
    outcome = run("status")
    assert (outcome.code, outcome.out.startswith("HALTED")) == (3, True)
    assert REASON in outcome.out


def test_a_tripped_breaker_and_its_quiet_period_are_halted(healthy):
    breaker.trip(scope="account:paper", reason=REASON, operator="alice", now=wall_now())
    assert verdict() == Verdict.HALTED
    breaker.reset(scope="account:paper", reason=REASON, operator="alice", now=wall_now())
    assert verdict() == Verdict.HALTED
    assert "QUIET_PERIOD until" in texts()["breaker"]


def spoil_reconciliation(account, monkeypatch):
    Account.objects.update(reconciliation="broken")


def spoil_feed(account, monkeypatch):
    account.feed.state = FeedState.STALE
    account.feed.save()


def spoil_heartbeat(account, monkeypatch):
    beat(name="dispatcher", wall_now=wall_now() - timedelta(minutes=2))


def spoil_redis(account, monkeypatch):
    monkeypatch.setattr("ops_console.snapshot.desk.redis_answers", lambda: False)


def spoil_answers(account, monkeypatch):
    order = make_order(account)
    sent_at = wall_now() - timedelta(minutes=1)
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.SUBMITTED, submitted_at=sent_at)


def spoil_runs(account, monkeypatch):
    order = make_order(account)
    Run.objects.create(
        account=account,
        strategy=order.strategy,
        trading_date=order.trading_date,
        as_of_date=order.trading_date - timedelta(days=1),
        state="failed",
        reason="no bars",
        sizing={},
        finished_at=wall_now(),
    )


def spoil_wish(account, monkeypatch):
    from django.conf import settings

    keep_wish(settings.VAR_DIR, scope="global", operator="c", reason=REASON, source="command", wall_now=wall_now())


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_reconciliation,
        spoil_feed,
        spoil_heartbeat,
        spoil_redis,
        spoil_answers,
        spoil_runs,
        spoil_wish,
    ],
)
def test_anything_that_is_not_as_it_should_be_is_degraded(healthy, monkeypatch, spoil):
    assert verdict() == Verdict.HEALTHY
    spoil(healthy, monkeypatch)
    outcome = run("status")
    assert (outcome.code, outcome.out.startswith("DEGRADED")) == (4, True)


def test_halted_is_told_before_degraded(healthy, monkeypatch):
    spoil_redis(healthy, monkeypatch)
    kill_switch.engage(scope="global", operator="alice", reason=REASON, source="command", now=wall_now())
    assert verdict() == Verdict.HALTED


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_database_away_is_degraded_and_everything_else_unknown(healthy, monkeypatch, error):
    def away(*_args, **_kwargs):
        raise error("connection refused")

    monkeypatch.setattr("ops_console.snapshot.desk._read", away)
    outcome = run("status")
    assert outcome.code == 4
    assert "AWAY: nothing below is known" in outcome.out
    assert "kill switch  degraded  UNKNOWN" in outcome.out
    assert "unknown: heartbeats are kept in the database" in outcome.out
    document = run("status", "--json").document
    assert (document["trading_state"], document["kill_switch"], document["positions"]) == ("unknown", None, None)


def test_database_that_goes_away_half_way(healthy, monkeypatch):
    def away(*_args, **_kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(selectors, "runs", away)
    assert verdict() == Verdict.DEGRADED


def test_before_the_first_start_nothing_is_healthy():
    outcome = run("status")
    assert outcome.code == 3  # no row: the switch counts as engaged
    assert "no account for mode paper" in outcome.out


def write_supervisor(tmp_path, **pids):
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    processes = [{"name": name, "pid": pid} for name, pid in pids.items()]
    (folder / "supervisor.json").write_text(json.dumps({"processes": processes}))


def test_processes_that_do_not_beat_are_looked_up_by_their_pid(healthy, tmp_path):
    write_supervisor(tmp_path, web=os.getpid(), api=2**22 + 1)
    assert texts()["web"] == f"process {os.getpid()} runs"
    assert texts()["api"] == "not running: the supervisor's process is gone"
    assert verdict() == Verdict.DEGRADED


def test_a_process_that_runs_but_is_mute_is_not_healthy(healthy, tmp_path):
    spoil_heartbeat(healthy, None)
    write_supervisor(tmp_path, dispatcher=os.getpid())
    assert "runs, but last heartbeat 12" in texts()["dispatcher"]
    assert verdict() == Verdict.DEGRADED


@pytest.mark.parametrize("text", ["", "{", "[]", '{"processes": 1}', '{"processes": [{"pid": 1}]}'])
def test_an_unreadable_supervisor_file_is_as_none(healthy, tmp_path, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text(text)
    assert verdict() == Verdict.HEALTHY


def test_a_quote_without_a_trade_leaves_the_mark_as_it_was(healthy):
    make_order(healthy)
    Quote.objects.update(last=None)
    document = run("status", "--json").document
    assert (document["verdict"], document["positions"][0]["current_price"]) == ("healthy", "100.00000000")
