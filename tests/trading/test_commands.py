"""The commands of the trading day: what they print, how they end."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django_q.models import OrmQ

from execution.brokers.base import BrokerUnavailable, BrokerUnreachable
from execution.models import Account, Order, Position, Strategy
from execution.services.halt import engage_kill_switch
from marketdata import calendar
from marketdata.clock import wall_now
from marketdata.models import Feed, Quote
from marketdata.types import FeedState
from risk.models import KillSwitchEvent
from risk.selectors import is_engaged
from tests.factories import WALL_NOW, make_instrument
from tests.trading.days import FIRST, SIZING, morning
from trading.management.commands import run_watchdog
from trading.models import FeedProgress, Heartbeat, ReplayRun
from trading.services.dead_man import DeadMan
from trading.services.heartbeats import beat
from trading.services.runs import run_strategy
from trading.services.start_line import AWAITED


def printed(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_paper_run_prints_a_table_and_writes_json(market: None, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    text = printed("paper_run", "--from", "2012-01-03", "--to", "2012-01-06", "--output", str(file))
    assert "account paper-run-1: 4 sessions" in text
    assert "equity identity holds on 4 of 4 days (worst difference 0.00)" in text
    for word in ("mean_reversion", "momentum", "buy and hold", "Sharpe", "median", "p99"):
        assert word in text
    document = json.loads(file.read_text())
    assert [day["date"] for day in document["days"]] == ["2012-01-03", "2012-01-04", "2012-01-05", "2012-01-06"]
    assert document["timing"]["days"] == 4


def test_paper_run_of_one_strategy_says_each_day_when_asked(market: None) -> None:
    text = printed("paper_run", "--from=2012-01-03", "--to=2012-01-04", "--strategy=momentum", "--dry-run", "--verbose")
    assert "2012-01-04 done, 2 of 2" in text
    assert "mean_reversion" not in text
    assert set(Order.objects.values_list("status", flat=True)) == {"dry_run"}


def test_paper_run_leaves_the_desk_alone(desk: Account) -> None:
    printed("paper_run", "--from=2012-01-03", "--to=2012-01-05")
    assert not Order.objects.filter(account=desk).exists()
    assert not Quote.objects.filter(feed=desk.feed).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "--from: got 'yesterday', allowed: a date such as 2012-01-03"),
        (["--to", "2012-13-01"], "--to: got '2012-13-01', allowed: a date such as 2012-01-03"),
        (["--capital", "much"], "--capital: got 'much', allowed: a number"),
        (["--capital", "-1"], "--capital: got -1, allowed: an amount above 0"),
        (["--max-position-size", "0"], "--max-position-size: got 0, allowed: a number of shares from 1"),
        (["--symbols", "nope"], "--symbols: got NOPE, allowed: AAPL, FB, GOOG, IBM, MSFT"),
        (["--strategy", "nope"], "--strategy: got nope, allowed: alpha_baseline, ensemble, mean_reversion, momentum"),
        (["--output", "/nowhere/x.json"], "--output: got '/nowhere/x.json', allowed: a file in a folder that exists"),
    ],
)
def test_bad_argument_is_named_in_one_line(market: None, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError) as refused:
        printed("paper_run", *arguments)
    assert str(refused.value) == message
    assert refused.value.returncode == 2
    assert not ReplayRun.objects.exists()


def test_paper_run_does_not_start_under_the_kill_switch(desk: Account) -> None:
    engage_kill_switch(
        scope="global", operator="ann", reason="trial of the switch", source="command", wall_now=WALL_NOW
    )
    with pytest.raises(CommandError, match="kill switch is engaged") as refused:
        printed("paper_run")
    assert refused.value.returncode == 3


def test_bootstrap_names_the_account(market: None) -> None:
    assert printed("bootstrap") == "desk account paper on feed main\n"
    assert printed("bootstrap") == "desk account paper on feed main\n"


def test_stream_carries_the_feed_with_redis_away(desk: Account, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    session = calendar.trading_date(desk.feed.market_now(WALL_NOW))
    Feed.objects.filter(pk=desk.feed_id).update(
        paused_at=WALL_NOW, start_at=calendar.session_open(session).replace(hour=16)
    )
    FeedProgress.objects.create(feed_name="main", processed_at=calendar.session_open(session).replace(hour=15))
    printed("run_stream", "--once")
    assert Quote.objects.filter(feed=desk.feed).count() == 4
    assert Feed.objects.get(pk=desk.feed_id).state == FeedState.LIVE
    assert Heartbeat.objects.get(name="stream").detail["redis"] == "away"


def scheduled() -> list[str]:
    """Return the runs that wait in the queue; the clock's duties and signs of life do not wait for anybody."""
    return [name for name in (row.task["args"][0] for row in OrmQ.objects.order_by("pk")) if name == "run_daily"]


def test_clock_waits_for_the_others_then_enqueues(desk: Account) -> None:
    Feed.objects.filter(pk=desk.feed_id).update(anchor_at=wall_now())
    printed("run_clock", "--once")
    assert not scheduled()
    assert Feed.objects.get(pk=desk.feed_id).paused_at is not None
    for name in AWAITED:
        beat(name=name, wall_now=wall_now() + timedelta(hours=1))
    start = Feed.objects.get(pk=desk.feed_id).start_at
    assert start is not None
    FeedProgress.objects.create(feed_name="main", processed_at=start)
    printed("run_clock", "--once")
    assert scheduled() == ["run_daily"] * 4
    assert Feed.objects.get(pk=desk.feed_id).paused_at is None


def test_clock_and_dispatcher_without_a_desk_do_nothing(market: None) -> None:
    printed("run_clock", "--once")
    printed("run_dispatcher", "--once")
    assert not OrmQ.objects.exists()


def test_watchdog_without_a_desk_does_nothing_and_beats(market: None) -> None:
    printed("run_watchdog", "--once")
    assert Heartbeat.objects.get(name="watchdog").detail == {"silent": []}
    assert not KillSwitchEvent.objects.filter(engaged=True).exists()


def test_watchdog_stops_a_desk_whose_dispatcher_is_silent(desk: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks, further apart than it may be silent: the first of a process only begins to listen."""
    beat(name="dispatcher", wall_now=WALL_NOW)
    beat(name="clock", wall_now=WALL_NOW)
    Position.objects.create(
        account=desk,
        strategy=Strategy.objects.get(name="momentum"),
        instrument=make_instrument("IBM"),
        quantity=1,
        cost_basis=1,
        current_price=1,
        current_price_at=WALL_NOW,
    )
    command = run_watchdog.Command()
    monkeypatch.setattr(run_watchdog, "wall_now", lambda: WALL_NOW)
    command.start()
    for second in range(1, 200):
        monkeypatch.setattr(run_watchdog, "wall_now", lambda second=second: WALL_NOW + timedelta(seconds=second))
        beat(name="clock", wall_now=WALL_NOW + timedelta(seconds=second))
        command.round()
    assert is_engaged(desk.scope)
    assert command.detail() == {"silent": ["dispatcher"]}


@pytest.mark.parametrize("error", [BrokerUnreachable("nobody there"), BrokerUnavailable("no answer")])
def test_watchdog_outlives_a_broker_that_is_away(desk: Account, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(DeadMan, "look", away)
    printed("run_watchdog", "--once")
    assert Heartbeat.objects.filter(name="watchdog").exists()


def test_dispatcher_recovers_then_sends(desk: Account) -> None:
    by_hand = morning(FIRST)
    Account.objects.filter(pk=desk.pk).update(name="old")
    Account.objects.filter(pk=by_hand.account.pk).update(name="paper", kind=Account.Kind.DESK)
    run_strategy(
        account=Account.objects.select_related("feed").get(name="paper"),
        strategy=Strategy.objects.get(name="momentum"),
        trading_date=FIRST,
        wall_now=WALL_NOW,
        sizing=SIZING,
    )
    printed("run_dispatcher", "--once")
    assert set(Order.objects.values_list("status", flat=True)) == {"accepted"}
    assert Heartbeat.objects.get(name="dispatcher").detail == {"sent": 2, "recovered": True}
