"""Submits, sends, fills, cancels and closings at once on the same names: no deadlock, and books that balance."""

import random
from collections.abc import Callable
from threading import Barrier

import pytest
from django.db import connection
from django.db.models import Q

from execution.brokers.paper import PaperBroker
from execution.errors import OrderNotOpen
from execution.models import Account, Order, Position
from execution.selectors import account_summary
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.orders import submit_orders
from execution.services.recovery import resolve_unanswered
from execution.services.reports import apply_reports
from execution.services.sessions import mark_positions
from risk.types import Side
from tests.execution.brokers.paper_cases import tick
from tests.execution.cases import WALL_NOW, D, assert_books_balance, dispatch
from tests.factories import allow, allow_bursts, make_account, make_instrument, make_intent, make_quote, make_strategy
from tests.risk.threads import together

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = ("AAPL", "IBM", "MSFT", "FB")
STRATEGIES = ("manual", "momentum", "mean_reversion")
ROUNDS = 8


def market() -> Account:
    allow_bursts()
    allow(max_position_quantity=1_000_000, daily_loss_pct=100, weekly_loss_pct=100)
    account = make_account(starting_cash=D(10_000_000))
    for symbol in SYMBOLS:
        make_instrument(symbol)
        make_quote(account.feed, symbol)
    for strategy in STRATEGIES:
        make_strategy(strategy)
    return account


def submitting(account: Account, number: int) -> Callable[[int], None]:
    chance = random.Random(number)

    def work(step: int) -> None:
        submit_orders(
            intents=[
                make_intent(
                    strategy=strategy,
                    symbol=symbol,
                    side=chance.choice(list(Side)),
                    quantity=D(chance.randint(1, 20)),
                    client_order_id=f"{number}-{step}-{strategy}-{symbol}",
                )
                for strategy in chance.sample(STRATEGIES, 2)
                for symbol in chance.sample(SYMBOLS, 3)
            ],
            account=account,
            wall_now=WALL_NOW,
        )

    return work


def sending(account: Account, broker: PaperBroker) -> Callable[[int], None]:
    return lambda _step: (dispatch(account, broker, limit=7), None)[1]


def trading(account: Account, broker: PaperBroker) -> Callable[[int], None]:
    def work(step: int) -> None:
        broker.advance([tick(symbol=symbol, minute=100 + step, volume=150) for symbol in SYMBOLS])
        apply_reports(account=account, broker=broker, wall_now=WALL_NOW)

    return work


def canceling(account: Account) -> Callable[[int], None]:
    def work(step: int) -> None:
        for order in Order.objects.filter(account=account, status="accepted").order_by("?")[:2]:
            try:
                request_cancel(order=order, operator="ann", wall_now=WALL_NOW)
            except OrderNotOpen:
                continue
        if step % 4 == 3:
            cancel_open_orders(
                orders=Q(instrument__symbol=SYMBOLS[step % 4]), account=account, operator="ann", wall_now=WALL_NOW
            )

    return work


def watching(account: Account, broker: PaperBroker) -> Callable[[int], None]:
    def work(_step: int) -> None:
        fresh = Account.objects.select_related("feed").get(pk=account.pk)
        mark_positions(account=fresh, market_at=fresh.feed.market_now(WALL_NOW))
        account_summary(fresh, WALL_NOW)
        resolve_unanswered(account=fresh, broker=broker, wall_now=WALL_NOW)

    return work


def test_no_deadlock_and_books_that_balance_under_mixed_load() -> None:
    account = market()
    broker = PaperBroker(account.name, starting_cash=account.starting_cash)
    hands: list[Callable[[int], None]] = [
        *(submitting(account, number) for number in range(3)),
        *(sending(account, broker) for _ in range(2)),
        *(trading(account, broker) for _ in range(2)),
        *(canceling(account) for _ in range(2)),
        watching(account, broker),
    ]
    gate = Barrier(len(hands))

    def run(work: Callable[[int], None]) -> None:
        connection.ensure_connection()
        gate.wait(60)
        for step in range(ROUNDS):
            work(step)

    answers = together(*[lambda work=work: run(work) for work in hands])
    assert answers == [None] * len(hands)
    dispatch(account, broker)
    apply_reports(account=account, broker=broker, wall_now=WALL_NOW)
    assert_books_balance(account)
    ours = {(row.instrument.symbol): D(0) for row in Position.objects.select_related("instrument")}
    for row in Position.objects.select_related("instrument"):
        ours[row.instrument.symbol] += row.quantity
    assert {symbol: held for symbol, held in ours.items() if held} == {
        position.symbol: position.quantity for position in broker.positions()
    }
    sent = Order.objects.filter(account=account).exclude(broker_order_id="")
    assert set(sent.values_list("client_order_id", flat=True)) == set(
        broker._orders().values_list("client_order_id", flat=True)
    )
