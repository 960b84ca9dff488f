"""The same run started by many workers at once is worked on by one; the others are told so."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from execution.models import Order, Strategy
from risk.models import Decision
from tests.factories import WALL_NOW
from tests.trading.conftest import fill_market, sample_lake  # noqa: F401 - a fixture of the neighbours
from tests.trading.days import FIRST, SIZING, morning
from trading.errors import RunBusyError
from trading.models import Run
from trading.services import runs
from trading.services.bootstrap import bootstrap
from trading.services.market_day import Desk
from trading.states import BEFORE_FILLS

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 8


@pytest.fixture
def desk(settings: Any, sample_lake: Path) -> Desk:  # noqa: F811
    settings.LAKE_DIR = sample_lake
    fill_market()
    bootstrap(wall_now=WALL_NOW)
    return morning()


def start_at_once(desk: Desk) -> list[str]:
    """Start the run in every thread at the same moment; return `worked` or `busy` for each."""
    barrier, strategy = Barrier(WORKERS), Strategy.objects.get(name="momentum")

    def worker(_number: int) -> str:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            done = runs.run_strategy(
                account=desk.account, strategy=strategy, trading_date=FIRST, wall_now=WALL_NOW, sizing=SIZING
            )
            return "worked" if done.attempts == 1 else "late"
        except RunBusyError:
            return "busy"
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(worker, range(WORKERS)))


def test_one_worker_works_and_orders_are_sent_once(desk: Desk) -> None:
    ended = start_at_once(desk)
    assert set(ended) <= {"worked", "busy"}
    assert "worked" in ended
    run = Run.objects.get()
    assert run.attempts == 1
    assert run.steps.count() == len(BEFORE_FILLS)
    assert Order.objects.count() == Decision.objects.count() == 2


def test_without_the_claim_more_than_one_worker_would_work(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    claims: list[int] = []

    def claim_without_a_fence(run: Run, now: Any, *, take_over: bool) -> uuid.UUID:
        claims.append(run.pk)
        claim = uuid.uuid4()
        Run.objects.filter(pk=run.pk).update(state="running", claim=claim, claimed_until=now + runs.LEASE)
        return claim

    monkeypatch.setattr(runs, "_claim", claim_without_a_fence)
    with pytest.raises(Exception, match="taken over"):
        start_at_once(desk)
    assert len(claims) > 1
    assert Order.objects.count() == 2  # the idempotency keys are the second line
