"""Whatever is done in whatever order, the books balance after every step.

The machine plays with the public services and the paper exchange: submits, cancels, sends, markets, sessions, reports
that come late or twice, a kill switch, splits and dividends.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Q, Sum
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from execution.brokers.paper import PaperBroker
from execution.brokers.paper.venue import ensure_venue
from execution.errors import OrderNotOpen, ReplaceRefused
from execution.matching.events import ClosingAuction, OpeningAuction, QuoteTick, SessionEnd
from execution.models import Account, AccountDay, Fill, Order, PaperVenue, Position
from execution.models.orders import OrderClass
from execution.selectors import account_summary
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.claims import claim_pending
from execution.services.corporate_actions import apply_corporate_actions
from execution.services.groups import make_legs, submit_group
from execution.services.halt import engage_kill_switch
from execution.services.recovery import recover_account
from execution.services.replaces import request_replace
from execution.services.reports import book_reports
from execution.services.sessions import close_session
from execution.states import OPEN, OrderStatus
from marketdata import calendar
from marketdata.models import CorporateAction, Instrument
from marketdata.services.feeds import set_market_time
from risk.services import breaker, kill_switch
from risk.types import OrderType, Origin, Side, TimeInForce
from tests.execution.cases import D, assert_books_balance, dispatch, submit_order
from tests.factories import (
    WALL_NOW,
    allow,
    allow_bursts,
    make_account,
    make_instrument,
    make_intent,
    make_quote,
    make_strategy,
)

SYMBOLS = ("AAPL", "IBM")
STRATEGIES = ("manual", "momentum")
FIRST_DAY = date(2012, 6, 14)

whole = st.sampled_from([D(1), D(7), D(40), D(100)])
prices = st.integers(min_value=9_700, max_value=10_300).map(lambda cents: D(cents) / 100)
volumes = st.sampled_from([D(0), D(50), D(333), D(10_000), None])
WAYS = [
    *((kind, TimeInForce.DAY) for kind in OrderType),
    *((kind, TimeInForce.GTC) for kind in OrderType if kind != OrderType.MARKET),
    *((OrderType.MARKET, tif) for tif in (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS)),
    (OrderType.LIMIT, TimeInForce.OPG),
]
orders = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(SYMBOLS),
        "strategy": st.sampled_from(STRATEGIES),
        "side": st.sampled_from(list(Side)),
        "quantity": whole,
        "way": st.sampled_from(WAYS),
        "reduce_only": st.sampled_from([False, False, False, True]),
        "limit": prices,
        "stop": prices,
    }
)


class Desk(RuleBasedStateMachine):
    """One account at the paper exchange; market and wall time move forward only."""

    def __init__(self) -> None:
        super().__init__()
        allow_bursts()
        allow(daily_loss_pct=100, weekly_loss_pct=100, auction_quiet_minutes=0, max_position_quantity=500)
        self.account: Account = make_account(starting_cash=D(100_000))
        self.broker = PaperBroker(self.account.name, starting_cash=self.account.starting_cash)
        venue = ensure_venue(account_name=self.account.name, starting_cash=self.account.starting_cash)
        venue.commission_model, venue.commission_per_share = PaperVenue.Commission.PER_SHARE, D("0.0035")
        venue.save()
        for symbol in SYMBOLS:
            make_instrument(symbol, fractionable=True)
            make_quote(self.account.feed, symbol)
        for strategy in STRATEGIES:
            make_strategy(strategy)
        self.numbers = count(1)
        self.wall = WALL_NOW
        self.day = FIRST_DAY
        self.last = dict.fromkeys(SYMBOLS, D(100))

    @property
    def now(self) -> Any:
        return self.account.feed.market_at

    # Orders

    @initialize()
    def hold_something(self) -> None:
        """Begin with a long and a short, so that there is something to reduce, to flip and to split."""
        for symbol, side, shares in (("AAPL", Side.BUY, "100.5"), ("IBM", Side.SELL, "40")):
            self.trade(symbol=symbol, strategy="manual", side=side, quantity=D(shares), price=D(100), volume=None)
        self.record(size=100, twice=False)

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        strategy=st.sampled_from(STRATEGIES),
        side=st.sampled_from(list(Side)),
        quantity=whole | st.just(D("0.33333333")),
        price=prices,
        volume=volumes,
    )
    @precondition(lambda self: calendar.is_open(self.now))
    def trade(
        self, symbol: str, strategy: str, side: Side, quantity: Decimal, price: Decimal, volume: Decimal | None
    ) -> None:
        """Send a market order straight through, in parts when there is little volume."""
        self._quote(symbol, self.last[symbol])
        intent = make_intent(
            symbol=symbol, strategy=strategy, side=side, quantity=quantity, client_order_id=f"t{next(self.numbers)}"
        )
        submit_order(intent=intent, account=self.account, wall_now=self.wall)
        dispatch(self.account, self.broker, wall_now=self.wall)
        self.tick(symbol=symbol, price=price, volume=volume, seconds=5)

    @rule(wish=orders)
    def submit(self, wish: dict[str, Any]) -> None:
        kind, good = wish["way"]
        submit_order(
            intent=make_intent(
                symbol=wish["symbol"],
                strategy=wish["strategy"],
                side=wish["side"],
                quantity=wish["quantity"],
                order_type=kind,
                time_in_force=good,
                reduce_only=wish["reduce_only"],
                limit_price=wish["limit"] if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None,
                stop_price=wish["stop"] if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
                client_order_id=f"m{next(self.numbers)}",
            ),
            account=self.account,
            wall_now=self.wall,
        )

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        strategy=st.sampled_from(STRATEGIES),
        order_class=st.sampled_from(list(OrderClass)),
        side=st.sampled_from(list(Side)),
        quantity=whole,
        good=st.sampled_from([TimeInForce.DAY, TimeInForce.GTC]),
        at_once=st.booleans(),
        near=st.sampled_from([D("0.5"), D(2)]),
    )
    def submit_group(
        self,
        symbol: str,
        strategy: str,
        order_class: str,
        side: Side,
        quantity: Decimal,
        good: TimeInForce,
        at_once: bool,
        near: Decimal,
    ) -> None:
        """Send a group whose exits lie near enough for the market to reach them."""
        last, away = self.last[symbol], near if side == Side.BUY else -near
        is_oco = order_class == OrderClass.OCO
        at_once = at_once and not is_oco
        entry = make_intent(
            symbol=symbol,
            strategy=strategy,
            side=side,
            quantity=quantity,
            order_class=str(order_class),
            order_type=OrderType.MARKET if at_once else OrderType.LIMIT,
            limit_price=None if at_once else last - away if is_oco else last,
            time_in_force=good,
            client_order_id=f"g{next(self.numbers)}",
        )
        take_profit = last + away if order_class == OrderClass.BRACKET else None
        stop = last + away if is_oco else last - away
        legs = make_legs(entry, take_profit=take_profit, stop_loss=stop)
        submit_group(entry=entry, legs=legs, account=self.account, wall_now=self.wall)

    @rule(pick=st.integers(min_value=0, max_value=50))
    def cancel(self, pick: int) -> None:
        found = list(Order.objects.filter(account=self.account, status__in=sorted(OPEN)).order_by("pk"))
        if found:
            request_cancel(order=found[pick % len(found)], operator="ann", wall_now=self.wall)

    @rule(
        pick=st.integers(min_value=0, max_value=50),
        quantity=whole | st.none(),
        price=prices,
        good=st.sampled_from([None, TimeInForce.DAY, TimeInForce.GTC]),
    )
    def replace(self, pick: int, quantity: Decimal | None, price: Decimal, good: TimeInForce | None) -> None:
        """Ask for new terms of an order that is open; what is refused leaves everything as it was."""
        found = list(Order.objects.filter(account=self.account, status__in=sorted(OPEN)).order_by("pk"))
        if not found:
            return
        order = found[pick % len(found)]
        with suppress(ReplaceRefused):
            request_replace(
                order=order,
                quantity=quantity,
                limit_price=price if order.limit_price is not None else None,
                stop_price=price if order.stop_price is not None else None,
                time_in_force=good,
                operator="ann",
                origin=Origin.API,
                wall_now=self.wall,
            )

    @invariant()
    def no_original_waits_for_nobody(self) -> None:
        """An original gives way only to a successor that is open, or has traded and waits for a report."""
        for order in Order.objects.filter(account=self.account, status=OrderStatus.PENDING_REPLACE):
            alive = Q(status__in=sorted(OPEN)) | Q(filled_quantity__gt=0)
            assert order.successors.filter(alive, total_quantity__isnull=False).exists()

    @rule(symbol=st.sampled_from(SYMBOLS))
    def cancel_all_of_a_name(self, symbol: str) -> None:
        wanted = Q(instrument__symbol=symbol)
        cancel_open_orders(orders=wanted, account=self.account, operator="ann", wall_now=self.wall)

    @rule()
    def cancel_what_is_over(self) -> None:
        over = Order.objects.filter(account=self.account).exclude(status__in=sorted(OPEN)).first()
        if over is not None:
            with pytest.raises(OrderNotOpen):
                request_cancel(order=over, operator="ann", wall_now=self.wall)

    # The way to the exchange and back

    @rule(limit=st.sampled_from([1, 3, 100]))
    def send(self, limit: int) -> None:
        dispatch(self.account, self.broker, wall_now=self.wall, limit=limit)

    @rule()
    def die_after_the_claim(self) -> None:
        claim_pending(
            account=self.account, dry_run=False, wall_now=self.wall, market_at=self.account.feed.market_at, limit=2
        )

    @rule(size=st.integers(min_value=1, max_value=4), twice=st.booleans())
    def record(self, size: int, twice: bool) -> None:
        cursor = Account.objects.values_list("report_cursor", flat=True).get(pk=self.account.pk)
        told = self.broker.reports_since(cursor, size)
        if told:
            assert book_reports(account_id=self.account.pk, reports=told, wall_now=self.wall) == len(told)
            if twice:
                assert book_reports(account_id=self.account.pk, reports=told, wall_now=self.wall) == 0

    @rule()
    def recover(self) -> None:
        self.account.refresh_from_db(fields=["reconciliation"])
        recover_account(account=self.account, broker=self.broker, wall_now=self.wall)
        assert self.account.reconciliation == Account.Reconciliation.CLEAN
        assert not Order.objects.filter(account=self.account, status=OrderStatus.SUBMITTED).exists()

    # The market

    @rule(symbol=st.sampled_from(SYMBOLS), price=prices, volume=volumes, seconds=st.integers(1, 600))
    @precondition(lambda self: calendar.is_open(self.now))
    def tick(self, symbol: str, price: Decimal, volume: Decimal | None, seconds: int) -> None:
        close = calendar.session_close(self.day)
        self._move_to(min(self.now + timedelta(seconds=seconds), close - timedelta(seconds=1)))
        for name in SYMBOLS:
            self._quote(name, price if name == symbol else self.last[name])
        self.broker.advance([QuoteTick(symbol, price - D("0.01"), price + D("0.01"), price, volume, self.now)])

    @rule(
        volume=volumes,
        closes=st.sampled_from([True, True, False]),
        recorded=st.booleans(),
        ratio=st.sampled_from([None, None, D(2), D("0.5")]),
        dividend=st.sampled_from([None, D("0.37")]),
    )
    @precondition(lambda self: calendar.is_open(self.now))
    def go_to_the_next_session(
        self, volume: Decimal | None, closes: bool, recorded: bool, ratio: Decimal | None, dividend: Decimal | None
    ) -> None:
        """Hold the closing auction, close the books or forget to, with reports booked or late, and open again."""
        self._move_to(calendar.session_close(self.day))
        for symbol in SYMBOLS:
            self._quote(symbol, self.last[symbol])
        prints = [ClosingAuction(symbol, self.last[symbol], volume, self.now) for symbol in SYMBOLS]
        self.broker.advance([*prints, SessionEnd(self.day, self.now)])
        if recorded:
            self.record(size=500, twice=False)
        if closes:
            closed = [close_session(account=self.account, day=self.day, wall_now=self.wall) for _ in range(2)]
            assert closed[0] == closed[1]
        self._open_the_next_session(volume, ratio, dividend)

    def _open_the_next_session(self, volume: Decimal | None, ratio: Decimal | None, dividend: Decimal | None) -> None:
        self.day = calendar.next_session(self.day)
        self._move_to(calendar.session_open(self.day) - timedelta(minutes=30))
        self._corporate_actions(ratio, dividend)
        self._move_to(calendar.session_open(self.day))
        for symbol in SYMBOLS:
            self._quote(symbol, self.last[symbol])
        self.broker.advance([OpeningAuction(symbol, self.last[symbol], volume, self.now) for symbol in SYMBOLS])

    @rule()
    def apply_the_days_actions_again(self) -> None:
        assert apply_corporate_actions(account=self.account, day=self.day, wall_now=self.wall) == []

    def _corporate_actions(self, ratio: Decimal | None, dividend: Decimal | None) -> None:
        if ratio is None and dividend is None:
            return
        # Yesterday's reports belong to yesterday's shares: every morning begins with them.
        recover_account(account=self.account, broker=self.broker, wall_now=self.wall)
        instrument = Instrument.objects.get(symbol="AAPL")
        facts = {"instrument": instrument, "ex_date": self.day, "source": "test"}
        if ratio is not None:
            CorporateAction.objects.create(kind="split", ratio=ratio, **facts)
        if dividend is not None:
            CorporateAction.objects.create(kind="dividend", cash_amount=dividend, **facts)
        for _again in range(2):
            apply_corporate_actions(account=self.account, day=self.day, wall_now=self.wall)
        if ratio is not None:
            self.broker.apply_split("AAPL", ratio, self.day, at=self.now)
        if dividend is not None:
            self.broker.pay_dividend("AAPL", dividend, self.day)

    # Stops

    @rule(scope=st.sampled_from(["global", "strategy:momentum"]))
    def halt(self, scope: str) -> None:
        engage_kill_switch(
            scope=scope, operator="ann", reason="the machine says so", source="console", wall_now=self.wall
        )
        stopped = Order.objects.filter(account=self.account, status__in=["pending", "accepted", "partially_filled"])
        if scope != "global":
            stopped = stopped.filter(strategy__name="momentum")
        assert not stopped.exists()
        self.wall += timedelta(minutes=2)
        kill_switch.disengage(
            scope=scope,
            operator="ann",
            second_operator="bob",
            reason="the machine goes on",
            source="console",
            now=self.wall,
        )

    @rule()
    def trip_and_reset(self) -> None:
        reason = "the machine says so"
        breaker.trip(scope=self.account.scope, reason=reason, operator="ann", now=self.wall)
        dispatch(self.account, self.broker, wall_now=self.wall)
        breaker.reset(scope=self.account.scope, reason=reason, operator="ann", now=self.wall)
        self.wall += timedelta(minutes=5)

    # What holds after every step

    @invariant()
    def books_balance(self) -> None:
        assert_books_balance(self.account)

    @invariant()
    def equity_adds_up(self) -> None:
        summary = account_summary(self.account, self.wall)
        assert summary.equity == (
            self.account.starting_cash + summary.realized_pnl + summary.unrealized_pnl - summary.fees
        )
        realized = fees = D(0)
        for day in AccountDay.objects.filter(account=self.account).order_by("date"):
            realized, fees = realized + day.realized_pnl, fees + day.fees
            assert day.equity == self.account.starting_cash + realized + day.unrealized_pnl - fees

    @invariant()
    def the_exchange_has_one_order_for_each_intent(self) -> None:
        theirs = {order.client_order_id for order in self.broker._orders()}
        assert theirs <= set(Order.objects.filter(account=self.account).values_list("client_order_id", flat=True))

    @invariant()
    def no_line_is_past_its_limit(self) -> None:
        for line in Position.objects.filter(account=self.account):
            if line.open_buy_quantity:
                assert line.quantity + line.open_buy_quantity <= line.long_cap
            if line.open_sell_quantity:
                assert line.open_sell_quantity - line.quantity <= line.short_cap

    @invariant()
    def exits_sell_no_more_than_their_entry_has_bought(self) -> None:
        exits = Sum("legs__filled_quantity", default=D(0))
        for entry in Order.objects.filter(account=self.account, legs__isnull=False).annotate(exited=exits):
            opened = entry.quantity - entry.filled_quantity if entry.order_class == "oco" else entry.filled_quantity
            assert entry.exited <= opened

    @invariant()
    def no_leg_outlives_an_entry_that_never_left(self) -> None:
        dead = ["denied", "dry_run", "rejected"]
        assert not Order.objects.filter(account=self.account, status="held", entry__status__in=dead).exists()

    @invariant()
    def nothing_is_over_and_open(self) -> None:
        filled = Fill.objects.filter(account=self.account).aggregate(total=Sum("quantity"))["total"] or D(0)
        ordered = Order.objects.filter(account=self.account).aggregate(total=Sum("filled_quantity"))["total"] or D(0)
        assert filled == ordered

    def teardown(self) -> None:
        """Everything that is told is booked, everything unanswered is asked for: then both books are equal."""
        recover_account(account=self.account, broker=self.broker, wall_now=self.wall)
        assert self.account.reconciliation == Account.Reconciliation.CLEAN
        self.books_balance()
        theirs, ours = self.broker.account().cash, Account.objects.get(pk=self.account.pk).cash
        assert theirs == ours

    def _move_to(self, at: datetime) -> None:
        set_market_time(feed=self.account.feed, at=max(at, self.now))
        self.wall += timedelta(seconds=1)

    def _quote(self, symbol: str, price: Decimal) -> None:
        self.last[symbol] = price
        make_quote(self.account.feed, symbol, str(price), at=self.now)


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class UndoneDesk(Desk):
    """Each example leaves the database as it found it."""

    def __init__(self) -> None:
        self.around = undone()
        self.around.__enter__()
        super().__init__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.around.__exit__(None, None, None)


@pytest.mark.django_db
def test_the_books_balance_whatever_happens() -> None:
    run_state_machine_as_test(
        UndoneDesk,
        settings=settings(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking thirty steps takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
