"""Health: what is not known is never good."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from execution.models import Account, ForcedCompletion, Position, ReconciliationRun, Strategy
from marketdata.clock import wall_now
from marketdata.models import Instrument
from marketdata.types import FeedKind
from ops_console import health
from ops_console.health import silences
from risk.services import breaker, kill_switch
from tests.factories import MARKET_AT, WALL_NOW, make_account
from trading.processes import watched_here
from trading.services.heartbeats import beat

REASON = "a reason that is long enough"


@pytest.fixture
def desk(db: None) -> Account:
    """Return a desk whose processes are all alive."""
    for name in silences():
        beat(name=name, wall_now=wall_now())
    return make_account(name="paper")


@pytest.fixture(autouse=True)
def redis_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "redis_answers", lambda: True)


def reasons(client: Client) -> list[str]:
    answer = client.get("/health/trade")
    body: dict[str, Any] = answer.json()
    assert answer.status_code == (200 if body["may_trade"] else 503)
    found: list[str] = body["reasons"]
    return found


def test_live_asks_nothing(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}


def test_a_whole_desk_is_ready_and_may_trade(desk: Account, client: Client) -> None:
    assert client.get("/health/ready").json()["status"] == "ok"
    assert reasons(client) == []


def test_redis_away_degrades_and_does_not_stop(desk: Account, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "redis_answers", lambda: False)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["redis"]["state"] == "degraded"
    assert reasons(client) == []


@pytest.mark.parametrize("name", [name for name, process in watched_here().items() if process.trades])
def test_a_process_never_seen_or_silent_is_not_ready(desk: Account, client: Client, name: str) -> None:
    beat(name=name, wall_now=wall_now() - timedelta(seconds=silences()[name] + 2))
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.json()["checks"][name]["state"] == "failed"


def test_silent_research_degrades_and_does_not_stop(desk: Account, client: Client) -> None:
    beat(name="jobs", wall_now=wall_now() - timedelta(minutes=5))
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["jobs"]["state"] == "degraded"
    assert reasons(client) == []


@pytest.mark.django_db
def test_before_anything_was_set_up_nothing_is_good(client: Client) -> None:
    assert client.get("/health/ready").status_code == 503
    assert reasons(client) == ["account: the desk has no account 'paper'"]


def test_the_kill_switch_is_a_reason(desk: Account, client: Client) -> None:
    kill_switch.engage(scope="global", operator="ann", reason=REASON, source="api", now=WALL_NOW)
    assert reasons(client) == ["kill_switch: engaged (global)"]


def test_a_tripped_breaker_is_a_reason(desk: Account, client: Client) -> None:
    breaker.trip(scope=desk.scope, reason=REASON, operator="ann", now=WALL_NOW)
    assert reasons(client) == [f"circuit_breaker: tripped: {REASON}"]


def test_a_book_that_is_not_reconciled_is_a_reason(desk: Account, client: Client) -> None:
    Account.objects.update(reconciliation="pending")
    assert reasons(client) == ["reconciliation: not yet reconciled since the start"]


def said_of_the_books(account: Account, seconds: int | None, **fields: Any) -> tuple[bool, str]:
    """Let the newest verdict be so old on a desk whose books are compared; return what is said of it."""
    now = wall_now()
    account.mode, account.feed.kind = Account.Mode.ALPACA_PAPER, FeedKind.REAL
    account.reconciled_at = None if seconds is None else now - timedelta(seconds=seconds)
    for name, value in fields.items():
        setattr(account, name, value)
    check = health._reconciled(account, now)
    return check.ok, check.detail


@pytest.mark.parametrize(("seconds", "is_good"), [(0, True), (180, True), (181, False), (86_400, False), (None, False)])
def test_a_clean_verdict_is_good_for_three_intervals(desk: Account, seconds: int | None, is_good: bool) -> None:
    ok, detail = said_of_the_books(desk, seconds)
    assert ok is is_good
    assert ("unknown" in detail) is not is_good
    assert ("180 s are allowed" in detail) is not is_good


@pytest.mark.parametrize(("left", "is_good"), [(1, True), (0, False), (-60, False)])
def test_the_word_of_two_people_is_good_until_it_expires_and_is_said(desk: Account, left: int, is_good: bool) -> None:
    now = wall_now()
    run = ReconciliationRun.objects.create(
        account=desk, trigger="timer", started_at=now, finished_at=now, state="broken"
    )
    ForcedCompletion.objects.create(
        account=desk,
        run=run,
        requested_by="ann",
        decided_by="bob",
        reason=REASON,
        state="approved",
        requested_at=now,
        request_expires_at=now,
        decided_at=now,
        expires_at=now + timedelta(minutes=left),
    )
    ok, detail = said_of_the_books(desk, 5, reconciliation="forced")
    assert ok is is_good
    assert ("without a clean run until" if is_good else "its time is over") in detail


def test_a_silent_dispatcher_is_a_reason(desk: Account, client: Client) -> None:
    beat(name="dispatcher", wall_now=wall_now() - timedelta(minutes=1))
    assert [reason.split(":")[0] for reason in reasons(client)] == ["dispatcher"]


def test_no_fresh_price_is_a_reason(desk: Account, client: Client) -> None:
    desk.feed.quotes.update(at=MARKET_AT - timedelta(hours=1))
    assert reasons(client) == ["prices: no tradable name has a fresh price"]


def test_a_held_name_without_a_fresh_price_is_a_reason(desk: Account, client: Client) -> None:
    held = Instrument.objects.create(symbol="IBM")
    Position.objects.create(
        account=desk,
        strategy=Strategy.objects.get(name="manual"),
        instrument=held,
        quantity=1,
        cost_basis=1,
        current_price=1,
        current_price_at=MARKET_AT,
    )
    assert reasons(client) == ["prices: no fresh price of IBM, which are held"]


def test_a_database_that_is_away_is_unknown_and_not_good(
    desk: Account, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(health, "_database", away)
    monkeypatch.setattr(health, "desk_account", away)
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert {check["state"] for name, check in ready.json()["checks"].items() if name != "redis"} == {"failed"}
    assert reasons(client) == ["database: unknown: OperationalError"]
    assert client.get("/health/live").status_code == 200
