"""Orders outside the session and in the auctions' windows: what leaves, what waits at the broker, what never leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from execution.emulator.faults import FaultKind
from execution.models import Order
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_order
from marketdata.models import Feed
from risk.types import Side
from tests.execution.cases import assert_books_balance, position_of
from tests.factories import D, allow, allow_bursts, make_intent, make_order, make_quote
from tests.faults.line import Line

pytestmark = pytest.mark.django_db

# From the close of Thursday 2012-06-14 to Friday evening; New York is four hours behind UTC.
BEFORE_CLOSE = datetime(2012, 6, 14, 19, 59, 59, tzinfo=UTC)
AFTER_CLOSE = datetime(2012, 6, 14, 20, 0, 1, tzinfo=UTC)
FIVE_PM = datetime(2012, 6, 14, 21, 0, tzinfo=UTC)
SEVEN_PM = datetime(2012, 6, 14, 23, 0, tzinfo=UTC)
EIGHT_PM = datetime(2012, 6, 15, 0, 0, tzinfo=UTC)
EIGHT_AM = datetime(2012, 6, 15, 12, 0, tzinfo=UTC)
NINE_TWENTY = datetime(2012, 6, 15, 13, 20, tzinfo=UTC)
NINE_TWENTY_NINE = datetime(2012, 6, 15, 13, 29, tzinfo=UTC)
NEXT_OPEN = datetime(2012, 6, 15, 13, 30, tzinfo=UTC)
FRIDAY_EVENING = datetime(2012, 6, 16, 0, 0, tzinfo=UTC)
FRIDAY = NEXT_OPEN.date()


@pytest.fixture(autouse=True)
def _any_minute(db: None) -> None:
    allow_bursts()
    allow(auction_quiet_minutes=0)


def desk_at(line: Line, at: datetime) -> None:
    """Let it be that time at our desk, with a price of just now."""
    Feed.objects.filter(pk=line.account.feed_id).update(market_at=at)
    line.account.feed.refresh_from_db()
    make_quote(line.account.feed, at=at)


def broker_at(line: Line, at: datetime) -> None:
    """Let it be that time at the broker; it never goes back."""
    now = line.emulator.call(lambda: line.emulator.surface.clock.now())
    line.emulator.advance(D(int((at - now).total_seconds())))


def both_at(line: Line, at: datetime) -> None:
    desk_at(line, at)
    broker_at(line, at)


def named(name: str) -> Order:
    return Order.objects.get(client_order_id=name)


def denials(line: Line, **fields: Any) -> list[str]:
    intent = make_intent(**fields)
    return [str(each.code) for each in submit_order(intent=intent, account=line.account, wall_now=line.wall).denials]


def stop_everything(line: Line) -> None:
    engage_kill_switch(
        scope="global", operator="ann", reason="a test of the night", source="console", wall_now=line.wall
    )


def fills(line: Line) -> int:
    return len(list(line.emulator.log.fills()))


@pytest.mark.parametrize("at", [AFTER_CLOSE, EIGHT_PM, EIGHT_AM])
def test_no_market_order_leaves_while_the_market_is_closed(line: Line, at: datetime) -> None:
    """Case 26: the broker would queue it for the next open; whoever wants that says opg."""
    both_at(line, at)
    assert denials(line) == ["MARKET_CLOSED"]
    line.round()
    assert line.posts() == 0


def test_a_market_order_that_waited_past_the_close_never_leaves(line: Line) -> None:
    """Cases 26 and 34: what was good for a session that is over expires here, not at tomorrow's open."""
    both_at(line, BEFORE_CLOSE)
    make_order(line.account, client_order_id="late")
    both_at(line, AFTER_CLOSE)
    line.round()
    assert (named("late").status, named("late").error_code, line.posts()) == ("expired", "session_over", 0)
    assert_books_balance(line.account)


def queued_overnight(line: Line) -> None:
    """Send a market order in the last second of our session, which is the first after the broker's."""
    desk_at(line, BEFORE_CLOSE)
    broker_at(line, AFTER_CLOSE)
    make_order(line.account, client_order_id="night")
    line.round()
    assert (named("night").status, fills(line)) == ("accepted", 0)
    assert position_of(line.account).open_buy_quantity == 10


def test_a_market_order_that_is_queued_overnight_works_at_the_open(line: Line) -> None:
    """Case 26: an order that was on its way while the market closed is taken, and holds its room all night."""
    queued_overnight(line)
    both_at(line, NEXT_OPEN)
    line.round()
    assert (named("night").status, fills(line)) == ("filled", 1)
    assert_books_balance(line.account)


def test_the_kill_switch_cancels_a_market_order_that_is_queued_overnight(line: Line) -> None:
    """Case 26: nothing of it is left at the open."""
    queued_overnight(line)
    stop_everything(line)
    line.round()
    line.round()
    assert named("night").status == "canceled"
    both_at(line, NEXT_OPEN)
    line.round()
    assert fills(line) == 0
    assert_books_balance(line.account)


@pytest.mark.parametrize(("early", "end"), [(1, "canceled"), (-1, "filled")])
def test_a_cancel_may_stay_pending_until_the_open_and_the_open_decides(line: Line, early: int, end: str) -> None:
    """Case 26: out of hours a cancel is kept; the order holds its room until the broker says how it ended."""
    queued_overnight(line)
    night = int((NEXT_OPEN - AFTER_CLOSE).total_seconds()) - early
    line.goes_wrong(FaultKind.STUCK_PENDING_CANCEL, match={"client_order_id": "night"}, parameters={"seconds": night})
    stop_everything(line)
    line.round()
    both_at(line, NEXT_OPEN - timedelta(minutes=1))
    line.round()
    assert (named("night").status, position_of(line.account).open_buy_quantity) == ("pending_cancel", 10)
    both_at(line, NEXT_OPEN)
    line.round()
    assert (named("night").status, fills(line)) == (end, int(end == "filled"))
    assert_books_balance(line.account)


def test_an_opening_order_after_the_cut_off_never_leaves(line: Line) -> None:
    """Case 27: the gate knows the windows of both auctions."""
    both_at(line, BEFORE_CLOSE)
    assert denials(line, time_in_force="cls") == ["AUCTION_WINDOW"]
    both_at(line, NINE_TWENTY_NINE)
    assert denials(line, time_in_force="opg") == ["AUCTION_WINDOW"]
    line.round()
    assert line.posts() == 0


def test_an_opening_order_that_waited_past_the_cut_off_is_refused_and_not_kept_for_tomorrow(line: Line) -> None:
    """Case 27: stored at 09:20, sent at 09:29."""
    both_at(line, NINE_TWENTY)
    make_order(line.account, client_order_id="late", time_in_force="opg")
    both_at(line, NINE_TWENTY_NINE)
    line.round()
    assert (named("late").status, named("late").error_code) == ("rejected", "42210000")
    both_at(line, FRIDAY_EVENING)
    line.round()
    assert (line.posts(), line.submitted()) == (1, [])
    assert_books_balance(line.account)


def test_an_opening_order_that_waited_until_the_evening_is_not_sent_for_the_next_day(line: Line) -> None:
    """Case 27: at 19:00 the broker takes opg again, for a session that nobody meant."""
    both_at(line, NINE_TWENTY)
    make_order(line.account, client_order_id="late", time_in_force="opg")
    both_at(line, FRIDAY_EVENING)
    line.round()
    assert (named("late").status, line.posts()) == ("expired", 0)


@pytest.mark.parametrize("auction", ["opg", "cls"])
def test_an_auction_order_between_the_close_and_seven_never_leaves(line: Line, auction: str) -> None:
    """Case 27: from the close on it is for the next session, and brokers take it from 19:00 New York."""
    for at in (AFTER_CLOSE, FIVE_PM, SEVEN_PM - timedelta(seconds=1)):
        both_at(line, at)
        assert denials(line, time_in_force=auction) == ["AUCTION_WINDOW"]
    both_at(line, SEVEN_PM)
    assert denials(line, time_in_force=auction) == []
    line.round()
    assert (line.posts(), Order.objects.get(status="accepted").trading_date) == (1, FRIDAY)


def test_an_opening_order_that_reaches_the_broker_before_seven_is_refused(line: Line) -> None:
    """Case 27: the broker has the same rule, and goes by its own clock."""
    desk_at(line, SEVEN_PM)
    broker_at(line, FIVE_PM)
    make_order(line.account, client_order_id="early", time_in_force="opg")
    line.round()
    assert (named("early").status, named("early").trading_date) == ("rejected", FRIDAY)
    assert "opg" in named("early").error_message


def test_an_opening_order_in_the_evening_is_for_the_next_session_in_both_books(line: Line) -> None:
    """Case 27: taken at 20:00, of tomorrow's trading date, filled at tomorrow's open."""
    both_at(line, EIGHT_PM)
    make_order(line.account, client_order_id="tomorrow", time_in_force="opg")
    line.round()
    assert (named("tomorrow").status, named("tomorrow").trading_date) == ("accepted", FRIDAY)
    both_at(line, NEXT_OPEN)
    line.round()
    assert named("tomorrow").status == "filled"


@pytest.mark.parametrize("fields", [{}, {"order_type": "limit", "limit_price": D(99), "time_in_force": "gtc"}])
def test_extended_hours_are_for_limit_orders_of_the_day_only(line: Line, fields: dict[str, Any]) -> None:
    """Case 28: anything else never leaves."""
    both_at(line, EIGHT_AM)
    assert denials(line, extended_hours=True, **fields) == ["INVALID_COMBINATION"]
    line.round()
    assert line.posts() == 0


def test_a_limit_order_for_extended_hours_works_before_the_open(line: Line) -> None:
    """Case 28: the flag reaches the broker, and without it the same order waits for the session."""
    both_at(line, EIGHT_AM)
    terms: dict[str, Any] = {"order_type": "limit", "limit_price": D(101)}
    make_order(line.account, client_order_id="early", extended_hours=True, **terms)
    make_order(line.account, client_order_id="usual", **terms)
    line.dispatch()
    line.round()
    assert (named("early").status, named("usual").status) == ("filled", "accepted")


def test_a_buy_stop_does_not_buy_above_the_limit_that_the_broker_adds(line: Line) -> None:
    """Case 29: the price jumps over the stop and its limit of 103.53; the order stays open, and holds its room."""
    make_order(line.account, client_order_id="stop", order_type="stop", stop_price=D(101))
    line.round()
    line.emulator.tick("AAPL", last=D(110), bid=D("109.99"), ask=D("110.01"))
    line.round()
    assert (named("stop").status, fills(line)) == ("accepted", 0)
    assert position_of(line.account).open_buy_quantity == 10
    line.emulator.tick("AAPL", last=D(103), bid=D("102.99"), ask=D("103.01"))
    line.round()
    assert (named("stop").status, named("stop").average_fill_price) == ("filled", D("103.01"))
    assert_books_balance(line.account)


def test_a_sell_stop_sells_at_whatever_price(line: Line) -> None:
    """Case 29: only buy stops are changed."""
    make_order(line.account, client_order_id="hold")
    line.round()
    make_order(line.account, client_order_id="stop", side=Side.SELL, order_type="stop", stop_price=D(99))
    line.round()
    line.emulator.tick("AAPL", last=D(90), bid=D("89.99"), ask=D("90.01"))
    line.round()
    assert (named("stop").status, named("stop").average_fill_price) == ("filled", D("89.99"))
