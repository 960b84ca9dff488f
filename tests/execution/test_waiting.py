"""An order reads the time, then waits for the account's lock: what the feed does meanwhile must not refuse it."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from execution.models import Account
from marketdata.models import Feed
from risk.types import DenialCode
from tests.factories import MARKET_AT, WALL_NOW, allow, make_account, make_quote, submit

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def account_on_a_replay() -> Account:
    feed = Feed.objects.create(
        name="fast", kind="replay", start_at=MARKET_AT, anchor_at=WALL_NOW, speed=Decimal(390), state="live"
    )
    return make_account(feed=feed)


@pytest.mark.parametrize(("ahead", "codes"), [(32 * MINUTE, []), (33 * MINUTE, [DenialCode.PRICE_STALE])])
def test_a_price_from_the_seconds_of_waiting_is_fresh_and_one_from_later_is_refused(
    ahead: timedelta, codes: list[DenialCode]
) -> None:
    account = account_on_a_replay()
    make_quote(account.feed, last="101", at=MARKET_AT + ahead)
    assert [denial.code for denial in submit(account).denials] == codes


def test_an_order_from_an_earlier_minute_counts_in_the_newer_one() -> None:
    allow(max_orders_per_minute=3, min_order_interval_seconds=0)
    account = make_account()
    later: datetime = MARKET_AT.replace(second=0, microsecond=0) + MINUTE
    Account.objects.filter(pk=account.pk).update(rate_window_at=later, rate_window_count=2)
    assert submit(account, idempotency_key="one").accepted
    assert [denial.code for denial in submit(account, idempotency_key="two").denials] == [DenialCode.ORDER_RATE]
    account.refresh_from_db()
    assert (account.rate_window_at, account.rate_window_count) == (later, 3)
