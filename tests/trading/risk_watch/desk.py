"""A desk that is watched, moved second by second."""

from datetime import timedelta

from execution.models import Account
from marketdata.services.feeds import set_market_time
from risk.models import RiskReading
from risk.selectors import breaker_status
from tests.execution.cases import FakeBroker, filled_order
from tests.factories import MARKET_AT, WALL_NOW, D, allow, allow_bursts, make_account, make_feed, make_quote
from trading.services.risk_watch import watch_account, watch_desk

SECOND = timedelta(seconds=1)


class Desk:
    """An account that holds a thousand AAPL bought at 100 of its 100,000, and a watch that looks each second."""

    def __init__(self, **fields):
        feed = make_feed(market_at=MARKET_AT - timedelta(days=1))
        self.account = make_account(feed=feed, **fields)  # which has been there for a day
        set_market_time(feed=feed, at=MARKET_AT)
        make_quote(feed)
        allow_bursts()
        allow(max_position_quantity=10**6, max_position_notional=10**9, max_feed_age_seconds=10**6)
        self.broker = FakeBroker()
        self.now = WALL_NOW

    def hold(self, quantity=1000):
        filled_order(self.account, self.broker, quantity=D(quantity))
        return self

    def price(self, last, symbol="AAPL"):
        make_quote(self.account.feed, symbol, last=str(last), at=self.account.feed.market_now(WALL_NOW))
        return self

    def look(self, **options):
        self.now += SECOND
        account = Account.objects.select_related("feed").get(pk=self.account.pk)
        return watch_account(account=account, wall_now=self.now, **options)

    def watch(self, seconds=1):
        """Look, keep to the limits and reduce, as the clock does."""
        self.now += seconds * SECOND
        return watch_desk(Account.objects.select_related("feed").get(pk=self.account.pk), self.now)

    def looks(self, count=2):
        for _ in range(count):
            self.look()
        return self

    @property
    def state(self):
        return breaker_status(self.account.scope, self.now).state

    @property
    def cause(self):
        return breaker_status(self.account.scope, self.now).cause

    @property
    def reading(self):
        return RiskReading.objects.get(scope=self.account.scope)

    def verdict(self, cause):
        return next(row["verdict"] for row in self.reading.readings if row["cause"] == cause)
