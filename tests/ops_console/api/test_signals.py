"""Signals over HTTP: asked for, listed, and never of a close that the desk has not seen."""

import json
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from execution.models import Account
from marketdata import calendar
from marketdata.clock import wall_now
from marketdata.lake import default_lake
from marketdata.models import Instrument
from marketdata.services.instruments import ensure_instruments
from signals.models import SignalSet
from tests.factories import make_strategy
from tests.signals.bars import random_walk
from trading.services.asked_signals import newest_close

pytestmark = pytest.mark.django_db
SIGNALS, GENERATE = "/api/v1/signals", "/api/v1/signals/generate"
NAMES = ("AAA", "BBB", "CCC")


@pytest.fixture
def close(account: Account, settings: Any, tmp_path: Path) -> date:
    """Bars of three names up to the newest close of the desk, and of the day after; the close."""
    settings.LAKE_DIR = tmp_path
    newest = newest_close(account.feed.market_now(wall_now()))
    days = calendar.sessions_between(newest - timedelta(days=500), newest + timedelta(days=7))
    ensure_instruments(symbols=NAMES)
    Instrument.objects.exclude(symbol__in=NAMES).update(tradable=False)
    for seed, symbol in enumerate(NAMES):
        path = pl.Series(random_walk(len(days), seed))
        prices = dict.fromkeys(("open", "high", "low", "close"), path)
        frame = pl.DataFrame({"symbol": [symbol] * len(days), "date": days, **prices, "volume": [1e6] * len(days)})
        default_lake().write(frame, "1d", "test")
    return newest


def test_a_new_set_is_201_and_the_same_again_200(close: date, trader: APIClient) -> None:
    asked = {"strategy": "momentum"}
    first, again = (trader.post(GENERATE, asked, format="json") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    body = first.json()
    assert (body["as_of_date"], body["id"]) == (close.isoformat(), again.json()["id"])
    assert [row["rank"] for row in body["signals"]] == [1, 2, 3]
    assert body["signals"][0]["target_weight"] == "0.500000"
    listed = trader.get(SIGNALS, {"strategy": "momentum", "symbol": "AAA"}).json()["results"]
    assert [row["signal_set"] for row in listed] == [body["id"]]


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ({"strategy": "magic"}, "strategy", "one of alpha_baseline, ensemble, mean_reversion, momentum"),
        ({"symbols": ["ZZZ"]}, "symbols", "symbols of known instruments"),
        ({"as_of": "2100-01-04"}, "as_of", "the newest close"),
        ({"as_of": "2012-01-01"}, "as_of", "a session up to"),
    ],
)
def test_what_cannot_be_asked_for_is_named(
    close: date, trader: APIClient, changes: dict[str, Any], field: str, allowed: str
) -> None:
    answer = trader.post(GENERATE, {"strategy": "momentum", **changes}, format="json")
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["name"] == field
    assert allowed in error["allowed"]
    assert not SignalSet.objects.exists()


def test_the_next_close_is_refused_although_its_bars_are_stored(close: date, trader: APIClient) -> None:
    following = calendar.sessions_between(close + timedelta(days=1), close + timedelta(days=7))[0]
    answer = trader.post(GENERATE, {"strategy": "momentum", "as_of": following.isoformat()}, format="json")
    assert answer.status_code == 400


def test_a_strategy_without_its_model_says_so(close: date, trader: APIClient) -> None:
    for strategy in ("alpha_baseline", "ensemble"):
        answer = trader.post(GENERATE, {"strategy": strategy}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (409, "MODEL_UNUSABLE")
        assert "no active model" in answer.json()["detail"]


def test_shadows_of_an_unknown_strategy_are_404_and_of_one_without_any_empty(trader: APIClient, close: date) -> None:
    assert trader.get("/api/v1/strategies/magic/shadows").status_code == 404
    make_strategy("alpha_baseline")
    assert trader.get("/api/v1/strategies/alpha_baseline/shadows").json() == {"results": []}


def typed(*arguments: str) -> str:
    out = StringIO()
    call_command("generate_signals", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_a_table_or_json(close: date) -> None:
    assert "momentum as of" in typed("--strategy", "momentum")
    told = json.loads(typed("--strategy=momentum", "--symbols", "aaa", "bbb", "--as-of", close.isoformat(), "--json"))
    assert told["new"] is True
    assert [row["symbol"] for row in told["signals"] if row["rank"] == 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--as-of", "yesterday"), "--as-of: got 'yesterday', allowed: a date such as 2012-06-14"),
        (("--as-of", "2100-01-04"), "allowed is a session up to"),
        (("--symbols", "ZZZ"), "unknown symbols: ZZZ"),
    ],
)
def test_the_command_refuses_in_one_line(close: date, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        typed("--strategy", "momentum", *arguments)
    assert refused.value.returncode == 1
