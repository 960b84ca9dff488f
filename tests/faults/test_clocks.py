"""R12: thirty instants and clocks: no order for the open market is taken outside a session, none that adds risk while
the broker's clock and ours differ by more than a second.

Sessions are those of the exchange's calendar: daylight saving, leap days, early closes, holidays, a hurricane.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from execution.emulator.faults import Fault, FaultKind
from execution.models import Account, BrokerLink, Order
from execution.services.broker_link import link_of, note_account
from marketdata.calendar import is_session
from marketdata.clock import ClockState, market_now
from marketdata.types import FeedKind
from risk.models import Alert
from risk.types import DenialCode, TimeInForce
from tests.execution.brokers.alpaca.emulated import broker_at, emulator_at
from tests.factories import MARKET_AT, WALL_NOW, D, make_account, make_feed, make_instrument, make_quote, submit
from trading.services.risk_watch import watch_account

pytestmark = pytest.mark.django_db
OPEN, QUIET, CLOSED = "open", DenialCode.AUCTION_WINDOW, DenialCode.MARKET_CLOSED
"""What becomes of a market order for the day: taken; refused next to an auction; refused because nothing trades."""
INSTANTS = {
    # an ordinary day
    "2012-06-15 13:29:59 a second before the open": CLOSED,
    "2012-06-15 13:30:00 the open": QUIET,
    "2012-06-15 13:35:00 five minutes later": OPEN,
    "2012-06-15 19:54:59 before the last five minutes": OPEN,
    "2012-06-15 19:59:59 a second before the close": QUIET,
    "2012-06-15 20:00:00 the close": CLOSED,
    "2012-06-16 15:00:00 Saturday": CLOSED,
    # daylight saving begins on Sunday 2013-03-10 and ends on Sunday 2012-11-04
    "2013-03-08 13:45:00 Friday in winter, before the open": CLOSED,
    "2013-03-08 14:45:00 Friday in winter": OPEN,
    "2013-03-11 13:45:00 Monday in summer": OPEN,
    "2013-03-11 20:15:00 Monday in summer, after the close": CLOSED,
    "2012-11-02 13:45:00 Friday in summer": OPEN,
    "2012-11-05 13:45:00 Monday in winter, before the open": CLOSED,
    "2012-11-05 20:45:00 Monday in winter, before the close": OPEN,
    # leap days
    "2016-02-29 15:00:00 a leap day": OPEN,
    "2020-02-29 15:00:00 a leap day that is a Saturday": CLOSED,
    # early closes, at 13:00 New York
    "2012-07-03 16:54:00 before an early close": OPEN,
    "2012-07-03 17:00:00 an early close": CLOSED,
    "2012-11-23 18:00:00 the day after Thanksgiving": CLOSED,
    "2012-12-24 17:30:00 Christmas Eve": OPEN,
    # holidays, and days on which nobody could come
    "2012-07-04 15:00:00 Independence Day": CLOSED,
    "2012-10-29 15:00:00 the hurricane": CLOSED,
    "2012-12-31 15:00:00 the last day of a year": OPEN,
    "2013-01-01 15:00:00 the first day of a year": CLOSED,
}
SKEWS = {-300_000: False, -2_000: False, -1_001: False, -1_000: True, 1_000: True, 1_001: False}
"""The broker's clock less ours (ms): two seconds, five minutes, a second more or less; whether risk may be added."""


def desk_at(at: datetime) -> Account:
    """Return an account whose market stands at an instant, with a price of that instant."""
    feed = make_feed(market_at=at)
    account = make_account(feed=feed)
    make_instrument(adv_as_of=at.date() - timedelta(days=1))
    make_quote(feed, at=at)
    return account


def codes_of(account: Account, **fields: object) -> list[str]:
    return [denial.code for denial in submit(account, **fields).denials]


@pytest.mark.parametrize("named", INSTANTS)
def test_a_market_order_is_taken_in_a_session_only(named: str) -> None:
    at = datetime.fromisoformat(named[:19]).replace(tzinfo=UTC)
    account, expected = desk_at(at), INSTANTS[named]
    codes = codes_of(account)
    assert codes == ([] if expected == OPEN else [expected])
    # Nothing that lives only for the moment passes either, and both say why in the same words.
    if expected == CLOSED:
        assert codes_of(account, time_in_force=TimeInForce.IOC) == [CLOSED]
        assert not Order.objects.exclude(status="denied").exists()


def test_every_instant_of_the_table_is_a_case_of_its_own() -> None:
    assert len(INSTANTS) + len(SKEWS) >= 30
    assert not is_session(date(2012, 10, 30))
    assert is_session(date(2016, 2, 29))


@pytest.mark.parametrize(("milliseconds", "may_add"), SKEWS.items())
def test_clocks_more_than_a_second_apart_let_no_new_risk_through(milliseconds: int, may_add: bool) -> None:
    account = make_account(mode=Account.Mode.ALPACA_PAPER)
    link = link_of(account)
    BrokerLink.objects.filter(pk=link.pk).update(clock_skew_milliseconds=milliseconds)
    codes = codes_of(account)
    assert (DenialCode.CLOCK_SKEW in codes) is not may_add


def test_a_wall_that_jumps_back_does_not_take_market_time_behind_its_start() -> None:
    state = ClockState(
        kind=FeedKind.REPLAY, start_at=MARKET_AT, speed=D(60), anchor_at=WALL_NOW, end_at=MARKET_AT + timedelta(days=9)
    )
    before = market_now(state, WALL_NOW + timedelta(seconds=5))
    after = market_now(state, WALL_NOW - timedelta(minutes=5))
    assert (before, after) == (MARKET_AT + timedelta(minutes=5), MARKET_AT)


@pytest.mark.parametrize("seconds", [-300, -2, 2, 300])
def test_a_broker_whose_clock_is_off_trips_the_breaker_and_tells_people(seconds: int) -> None:
    account = make_account(mode=Account.Mode.ALPACA_PAPER)
    submit(account)
    with emulator_at(MARKET_AT) as emulator, broker_at(emulator, account_id=account.pk) as broker:
        emulator.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, parameters={"seconds": str(seconds)}))
        told = broker.clock().at
    # As the desk's carrier measures it: the broker's time less that of the feed, which follows it.
    skew = round((told - account.feed.market_now(WALL_NOW)) / timedelta(milliseconds=1))
    assert abs(skew - seconds * 1_000) < 1_000
    note_account(account_id=account.pk, wall_now=WALL_NOW, clock_skew_milliseconds=skew)
    look = watch_account(account=account, wall_now=WALL_NOW, confirmations=1)
    assert look is not None
    assert "clock_skew" in look.tripped
    codes = codes_of(account, quantity=D(11))
    assert {DenialCode.CLOCK_SKEW, DenialCode.CIRCUIT_BREAKER} <= set(codes)
    assert Alert.objects.get(code="breaker_clock_skew", subject=account.scope).severity == "critical"
