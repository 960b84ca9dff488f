"""News of orders leave a busy process once in a while, and not at all for a second when Redis is away."""

from typing import Any

import pytest
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisAway

from ops_console import news

PAUSE = 20
MILLISECOND = 1_000_000


class FakeRedis:
    """Counts what is published."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.away = False

    def publish(self, channel: str, message: str) -> None:
        self.published.append(message)
        if self.away:
            raise RedisAway("away")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [0]
    monkeypatch.setattr(news, "monotonic_ns", lambda: now[0] * MILLISECOND)
    monkeypatch.setattr(news, "_pace", news.Pace())
    return now


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> FakeRedis:
    fake = FakeRedis()
    monkeypatch.setattr(news, "redis_client", lambda: fake)
    return fake


def orders_changed_at(clock: list[int], *milliseconds: int) -> None:
    for instant in milliseconds:
        clock[0] = instant
        news.on_orders_changed(None, account_id=1, order_ids=[instant])


def test_a_busy_process_says_it_once_a_pause(settings: Settings, clock: list[int], redis: FakeRedis) -> None:
    settings.NEWS_PAUSE_MILLISECONDS = PAUSE
    orders_changed_at(clock, 0, 1, PAUSE - 1, PAUSE, PAUSE + 1)
    assert len(redis.published) == 2


def test_orders_do_not_wait_again_and_again_for_a_redis_that_is_away(
    settings: Settings, clock: list[int], redis: FakeRedis
) -> None:
    settings.NEWS_PAUSE_MILLISECONDS = PAUSE
    redis.away = True
    orders_changed_at(clock, 0, PAUSE, news.AWAY_MILLISECONDS - 1, news.AWAY_MILLISECONDS)
    assert len(redis.published) == 2


def test_other_processes_and_other_news_know_no_pause(settings: Settings, clock: list[int], redis: FakeRedis) -> None:
    orders_changed_at(clock, 0, 0, 0)
    settings.NEWS_PAUSE_MILLISECONDS = PAUSE
    for _ in range(3):
        news.on_trading_state_changed(None, scope="global")
    assert len(redis.published) == 6
