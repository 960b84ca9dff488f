"""When auction orders are taken: from 19:00 New York on a session day until the close of the next session."""

from datetime import UTC, datetime, timedelta

import pytest

from execution.session_hours import auctions_are_taken

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("closes_at", "taken_from"),
    [
        (datetime(2012, 6, 14, 20, tzinfo=UTC), datetime(2012, 6, 14, 23, tzinfo=UTC)),
        (datetime(2012, 6, 15, 20, tzinfo=UTC), datetime(2012, 6, 15, 23, tzinfo=UTC)),  # Friday, for Monday
        (datetime(2012, 7, 3, 17, tzinfo=UTC), datetime(2012, 7, 3, 23, tzinfo=UTC)),  # half day, then a holiday
        (datetime(2012, 12, 3, 21, tzinfo=UTC), datetime(2012, 12, 4, 0, tzinfo=UTC)),  # winter time
    ],
)
def test_auction_orders_wait_from_the_close_until_seven(closes_at: datetime, taken_from: datetime) -> None:
    assert auctions_are_taken(closes_at - SECOND)
    assert not auctions_are_taken(closes_at)
    assert not auctions_are_taken(taken_from - SECOND)
    assert auctions_are_taken(taken_from)


@pytest.mark.parametrize("at", [datetime(2012, 6, 16, 12, tzinfo=UTC), datetime(2012, 6, 14, 13, 5, tzinfo=UTC)])
def test_at_weekends_and_in_the_morning_they_are_taken(at: datetime) -> None:
    assert auctions_are_taken(at)
