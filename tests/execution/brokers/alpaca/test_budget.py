"""How many requests may go, and how long new orders wait."""

from decimal import Decimal

import pytest

from execution.brokers.alpaca.budget import Budget, Purpose
from tests.execution.brokers.alpaca.emulated import Ticker

NEW, READ, CANCEL = Purpose.NEW_RISK, Purpose.READ, Purpose.CANCEL
DATE = "Thu, 14 Jun 2012 13:05:00 GMT"
EPOCH = 1339679100


@pytest.fixture
def ticker() -> Ticker:
    return Ticker()


@pytest.fixture
def budget(ticker: Ticker) -> Budget:
    return Budget(nanoseconds=ticker)


def taken(budget: Budget, purpose: Purpose) -> int:
    count = 0
    while budget.take(purpose):
        count += 1
    return count


def test_new_orders_reads_and_cancels_stop_one_after_the_other(budget: Budget) -> None:
    assert taken(budget, NEW) == 140
    assert budget.pause_seconds() == 60
    assert taken(budget, READ) == 40
    assert taken(budget, CANCEL) == 20 + 1


def test_one_cancel_a_second_is_tried_when_nothing_is_left(budget: Budget, ticker: Ticker) -> None:
    taken(budget, CANCEL)
    for _ in range(3):
        ticker.pass_seconds(1)
        assert taken(budget, CANCEL) == 1
    assert not budget.take(READ)
    assert not budget.take(NEW)


def test_the_next_minute_is_a_new_one(budget: Budget, ticker: Ticker) -> None:
    taken(budget, NEW)
    ticker.pass_seconds(60)
    assert budget.pause_seconds() == 0
    assert taken(budget, NEW) == 140


def test_the_brokers_count_holds_for_all_processes_together(budget: Budget, ticker: Ticker) -> None:
    told = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "301", "X-RateLimit-Reset": str(EPOCH + 12)}
    budget.heard(200, told | {"Date": DATE})
    assert taken(budget, NEW) == 1
    assert budget.pause_seconds() == 12
    ticker.pass_seconds(12)
    assert taken(budget, NEW) == 700


def test_429_empties_the_window_until_it_is_told_to_end(budget: Budget, ticker: Ticker) -> None:
    budget.heard(429, {"Retry-After": "7"})
    assert budget.pause_seconds() == 7
    assert not budget.take(READ)
    assert budget.take(CANCEL)
    assert not budget.take(CANCEL)
    ticker.pass_seconds(7)
    assert budget.take(NEW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"X-RateLimit-Reset": str(EPOCH + 5)},
        {"X-RateLimit-Reset": str(EPOCH + 5), "Date": "no date"},
        {"Retry-After": "99999999999999999999"},
        {"X-RateLimit-Reset": str(EPOCH + 7200), "Date": DATE},
        {"Retry-After": "-5"},
        {"Retry-After": "٣"},
    ],
)
def test_a_429_that_does_not_say_when_waits_a_minute_and_never_longer(budget: Budget, headers: dict[str, str]) -> None:
    budget.heard(429, headers)
    assert budget.pause_seconds() == 60


@pytest.mark.parametrize("headers", [{"X-RateLimit-Remaining": "many"}, {"X-RateLimit-Limit": "0"}])
def test_headers_that_make_no_sense_change_nothing(budget: Budget, headers: dict[str, str]) -> None:
    budget.heard(200, headers)
    assert taken(budget, NEW) == 140


def test_a_window_that_ended_already_is_renewed_within_a_second(budget: Budget, ticker: Ticker) -> None:
    budget.heard(200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH - 5), "Date": DATE})
    assert budget.pause_seconds() == 1


def test_failures_double_the_pause_up_to_half_a_minute(budget: Budget, ticker: Ticker) -> None:
    pauses = []
    for _ in range(7):
        budget.failed()
        pauses.append(budget.pause_seconds())
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    ticker.pass_seconds(29)
    assert budget.pause_seconds() == Decimal(1)
    budget.succeeded()
    assert budget.pause_seconds() == 0
    budget.failed(for_long=True)
    assert budget.pause_seconds() == 30
