"""Live prices by hand, over HTTP."""

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.models import Feed, MarketSubscription
from marketdata.services.gaps import close_gaps, keep_frames, open_gap
from marketdata.services.statuses import store_statuses
from marketdata.services.subscriptions import hold
from marketdata.types import GapReason, StatusNews, SubscriptionSource
from ops_console.scopes import Scope
from tests.factories import MARKET_AT, WALL_NOW, make_instrument
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/subscriptions"


def ask(client: APIClient, *symbols: object):
    return client.post(ADDRESS, {"symbols": list(symbols)}, format="json")


def test_asking_subscribes_and_asking_again_changes_nothing(account: Account, trader: APIClient) -> None:
    for _ in range(2):
        answer = ask(trader, "AAPL")
        assert answer.status_code == 200
        assert answer.json()["results"][0]["sources"] == {"manual": 1, "position": 0, "open_order": 0, "watch_list": 0}
    assert MarketSubscription.objects.get().operator == "trade-user"
    assert [row["symbol"] for row in trader.get(ADDRESS).json()["results"]] == ["AAPL"]


def test_the_last_source_that_leaves_unsubscribes(account: Account, trader: APIClient) -> None:
    ask(trader, "AAPL")
    hold(feed=account.feed, source=SubscriptionSource.POSITION, holder="paper", symbols=["AAPL"], wall_now=WALL_NOW)
    left = trader.delete(f"{ADDRESS}/AAPL").json()
    assert (left["references"], left["sources"]["position"]) == (1, 1)
    hold(feed=account.feed, source=SubscriptionSource.POSITION, holder="paper", symbols=[], wall_now=WALL_NOW)
    assert trader.get(ADDRESS).json()["results"] == []


def test_nothing_is_left_of_what_only_a_hand_wanted(account: Account, trader: APIClient) -> None:
    ask(trader, "AAPL")
    assert trader.delete(f"{ADDRESS}/AAPL").json() == {
        "symbol": "AAPL",
        "references": 0,
        "sources": {"manual": 0, "position": 0, "open_order": 0, "watch_list": 0},
        "since": None,
    }
    answer = trader.delete(f"{ADDRESS}/AAPL")
    assert (answer.status_code, answer.json()["detail"]) == (404, "AAPL is not subscribed by hand")


def test_an_unknown_symbol_is_named(account: Account, trader: APIClient) -> None:
    answer = ask(trader, "AAPL", "NOPE")
    assert answer.status_code == 400
    assert "NOPE" in answer.json()["errors"][0]["allowed"]
    assert not MarketSubscription.objects.exists()


@pytest.mark.parametrize("symbols", [[], ["aapl"], [1], [f"S{number}" for number in range(101)]])
def test_strange_lists_are_400(account: Account, trader: APIClient, symbols: list[object]) -> None:
    assert ask(trader, *symbols).status_code == 400


def test_readers_may_look_and_not_touch(account: Account, client_of: Client) -> None:
    reader = client_of(Scope.READ)
    assert reader.get(ADDRESS).status_code == 200
    assert ask(reader, "AAPL").status_code == 403
    assert reader.delete(f"{ADDRESS}/AAPL").status_code == 403


def test_stats_tell_how_the_feed_is(account: Account, trader: APIClient) -> None:
    feed = account.feed
    make_instrument("IBM")
    Feed.objects.filter(pk=feed.pk).update(source="alpaca iex", problem="stream: closed", problem_at=WALL_NOW)
    ask(trader, "AAPL", "IBM")
    keep_frames(feed=feed, source="alpaca iex", frames=[(b"?", "no msgpack")], received_at=WALL_NOW)
    open_gap(feed=feed, source="alpaca iex", reason=GapReason.SILENT, detail="mute", began_at=WALL_NOW)
    close_gaps(feed=feed, ended_at=WALL_NOW)
    halt = StatusNews("IBM", True, "H", "Trading Halt", "T1", "", "C", MARKET_AT)
    store_statuses(feed=feed, news=[halt], source="alpaca iex", wall_now=WALL_NOW)
    stats = trader.get(f"{ADDRESS}/stats").json()
    assert (stats["symbols"], stats["references"]["manual"], stats["halted"]) == (2, 2, ["IBM"])
    assert (stats["source"], stats["problem"], stats["state"]) == ("alpaca iex", "stream: closed", feed.state)
    assert stats["newest_gap"]["reason"] == "silent"


@pytest.mark.parametrize("symbol", ["%00", "aapl", "A" * 40, "A%20B"])
def test_what_cannot_be_a_symbol_is_not_there(account: Account, trader: APIClient, symbol: str) -> None:
    assert trader.delete(f"{ADDRESS}/{symbol}").status_code == 404
