"""Fresh and stale symbols in one run: the stale ones are named and left out, too few fresh ones end it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from marketdata import calendar
from marketdata.lake import BarLake, bar_schema, default_lake
from marketdata.models import Feed
from marketdata.types import FeedKind
from tests.trading.days import FIRST, SIZING, SYMBOLS, morning
from tests.trading.test_runs import run, strategy
from trading.errors import RunFailedError
from trading.models import Run
from trading.services.runs import run_strategy
from trading.states import RunState, StepName

pytestmark = pytest.mark.usefixtures("desk")
AS_OF = calendar.previous_session(FIRST)


def without(sample: Path, target: Path, symbols: list[str]) -> None:
    """Copy the sample up to the as-of session, without that session's bars of some symbols."""
    bars = BarLake(sample).scan(symbols=SYMBOLS, end=AS_OF)
    stale = pl.col("symbol").is_in(symbols) & (pl.col("date") == AS_OF)
    BarLake(target).write(bars.filter(~stale).collect(), "1d", "test")


def test_stale_symbols_are_named_and_left_out(settings: Any, sample_lake: Path, tmp_path: Path) -> None:
    desk = morning()
    without(sample_lake, tmp_path, ["IBM"])
    settings.LAKE_DIR = tmp_path
    done = run(desk)
    assert done.state == RunState.AWAITING_FILLS
    told = done.steps.get(name=StepName.FRESHNESS).output
    assert list(told["stale_seconds"]) == ["IBM"]
    assert "IBM" not in told["fresh"]
    assert "IBM" not in done.signal_set.universe
    assert not done.signal_set.signals.filter(instrument__symbol="IBM").exists()


def test_a_run_with_too_few_fresh_symbols_ends_with_their_names(
    settings: Any, sample_lake: Path, tmp_path: Path
) -> None:
    desk = morning()
    without(sample_lake, tmp_path, list(SYMBOLS[1:]))
    settings.LAKE_DIR, settings.MIN_FRESH_PCT = tmp_path, Decimal(80)
    with pytest.raises(RunFailedError, match="freshness"):
        run(desk)
    reason = Run.objects.get(account=desk.account).reason
    assert f"1 of {len(SYMBOLS)} symbols have a bar of {AS_OF}, at least 80 % must" in reason
    assert all(symbol in reason for symbol in SYMBOLS[1:])


def test_in_real_time_a_bar_of_the_future_ends_the_run(settings: Any, sample_lake: Path, tmp_path: Path) -> None:
    desk = morning()
    today = calendar.session_open(FIRST) - timedelta(minutes=25)
    without(sample_lake, tmp_path, [])
    settings.LAKE_DIR = tmp_path
    tomorrow = (SYMBOLS[0], FIRST, 10.0, 10.0, 10.0, 10.0, 5.0)
    default_lake().write(pl.DataFrame([tomorrow], schema=bar_schema(), orient="row"), "1d", "test")
    Feed.objects.filter(pk=desk.account.feed_id).update(kind=FeedKind.REAL, market_at=None)
    desk.account.feed.refresh_from_db()
    with pytest.raises(RunFailedError, match="freshness"):
        run_strategy(account=desk.account, strategy=strategy(), trading_date=FIRST, wall_now=today, sizing=SIZING)
    assert "FutureTimestampError" in Run.objects.get(account=desk.account).steps.get().error


def test_what_a_replay_knows_of_its_own_future_is_not_looked_at(sample_lake: Path) -> None:
    assert default_lake().scan().select(pl.col("date").max()).collect().item() > FIRST
    assert run(morning()).state == RunState.AWAITING_FILLS
