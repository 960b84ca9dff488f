"""Groups in the ledger and at the paper exchange whatever order sends, markets, cancels and reports come in."""

from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.db.models import Q, Sum
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.brokers.paper import PaperBroker
from execution.matching.events import QuoteTick
from execution.models import Account, Order
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.claims import claim_pending
from execution.services.groups import make_legs, submit_group
from execution.services.recovery import recover_account
from execution.services.reports import book_reports
from execution.states import OPEN
from risk.types import OrderType, Side, TimeInForce
from tests.execution.cases import MARKET_AT, WALL_NOW, D, assert_books_balance, dispatch
from tests.factories import allow, allow_bursts, make_account, make_intent

pytestmark = pytest.mark.django_db
SIGN = {Side.BUY: 1, Side.SELL: -1}

prices = st.integers(96, 104).map(D)
volumes = st.sampled_from([None, None, D(40), D(70), D(0)])
ticks = st.tuples(st.just("tick"), prices, volumes)
moves = st.one_of(
    st.tuples(st.just("send"), st.just(0), st.just(0)),
    ticks,
    ticks,
    st.tuples(st.just("record"), st.integers(1, 4), st.just(0)),
    st.tuples(st.just("record"), st.just(100), st.just(0)),
    st.tuples(st.sampled_from(["cancel", "die", "recover", "cancel_sells"]), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("group"), st.integers(0, 11), st.just(0)),
)


class Desk:
    """An account at the paper exchange that trades nothing but groups."""

    def __init__(self) -> None:
        allow_bursts()
        allow(daily_loss_pct=100, weekly_loss_pct=100, max_position_quantity=40, auction_quiet_minutes=0)
        self.account: Account = make_account()
        self.broker = PaperBroker(self.account.name, starting_cash=self.account.starting_cash)
        self.minutes, self.names = count(1), count(1)

    def group(self, kind: int, _unused: object) -> None:
        """Send one of twelve kinds of group around 100."""
        side = Side.BUY if kind % 2 else Side.SELL
        order_class = ("bracket", "oto", "oco")[kind // 2 % 3]
        away = SIGN[side] * 2
        is_oco, at_once = order_class == "oco", kind >= 6 and order_class != "oco"
        entry = make_intent(
            side=side,
            order_class=order_class,
            order_type=OrderType.MARKET if at_once else OrderType.LIMIT,
            limit_price=None if at_once else D(100 - away if is_oco else 100),
            time_in_force=TimeInForce.GTC,
            client_order_id=f"g{next(self.names)}",
        )
        legs = make_legs(
            entry,
            take_profit=D(100 + away) if order_class == "bracket" else None,
            stop_loss=D(100 + away if is_oco else 100 - away),
        )
        submit_group(entry=entry, legs=legs, account=self.account, wall_now=WALL_NOW)

    def send(self, *_unused: object) -> None:
        """Run a round of the dispatcher."""
        dispatch(self.account, self.broker)

    def die(self, *_unused: object) -> None:
        """Claim, and send nothing."""
        claim_pending(account=self.account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)

    def tick(self, last: Decimal, volume: Decimal | None) -> None:
        """Let the market move."""
        at = MARKET_AT + timedelta(minutes=next(self.minutes))
        self.broker.advance([QuoteTick("AAPL", last - D("0.01"), last + D("0.01"), last, volume, at)])

    def record(self, size: int, _unused: object) -> None:
        """Book some reports."""
        cursor = Account.objects.values_list("report_cursor", flat=True).get(pk=self.account.pk)
        if told := self.broker.reports_since(cursor, size):
            assert book_reports(account_id=self.account.pk, reports=told, wall_now=WALL_NOW) == len(told)

    def cancel(self, pick: int, _unused: object) -> None:
        """Cancel an open order or a leg."""
        found = list(Order.objects.filter(account=self.account, status__in=sorted(OPEN)).order_by("pk"))
        if found:
            request_cancel(order=found[pick % len(found)], operator="ann", wall_now=WALL_NOW)

    def cancel_sells(self, *_unused: object) -> None:
        """Cancel one side: the legs of some groups, the entries of others."""
        cancel_open_orders(orders=Q(side="sell"), account=self.account, operator="ann", wall_now=WALL_NOW)

    def recover(self, *_unused: object) -> None:
        """Start again."""
        recover_account(account=self.account, broker=self.broker, wall_now=WALL_NOW)
        assert self.account.reconciliation == Account.Reconciliation.CLEAN

    def check(self) -> None:
        """Check what holds after every step."""
        assert_books_balance(self.account)
        exited = Sum("legs__filled_quantity", default=D(0))
        for entry in Order.objects.filter(account=self.account, legs__isnull=False).annotate(exited=exited):
            left = entry.quantity - entry.filled_quantity
            assert entry.exited <= (left if entry.order_class == "oco" else entry.filled_quantity)


@settings(max_examples=12)
@given(first=st.integers(0, 11), steps=st.lists(moves, min_size=4, max_size=16))
def test_groups_agree_with_the_exchange_whatever_happens(first: int, steps: list[tuple[str, Any, Any]]) -> None:
    desk = Desk()
    for name, one, two in [("group", 7, 0), ("send", 0, 0), ("tick", D(100), None), ("group", first, 0), *steps]:
        getattr(desk, name)(one, two)
        desk.check()
    desk.recover()
    desk.send()
    desk.recover()
    desk.check()
    ours = dict(Order.objects.filter(account=desk.account).values_list("client_order_id", "status"))
    for order in desk.broker._orders():
        assert ours[order.client_order_id] == order.status, order.client_order_id
