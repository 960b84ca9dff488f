"""What else decides how a day feels: dispatch, booking of fills, the kill switch, status, start of a process."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import count
from statistics import median
from time import perf_counter

from execution.brokers.paper import PaperBroker
from execution.brokers.registry import broker_for
from execution.matching.events import QuoteTick
from execution.models import Account, Order
from execution.services.dispatch import dispatch_once
from execution.services.halt import engage_kill_switch
from execution.services.orders import submit_orders
from execution.services.reports import apply_reports
from execution.states import OPEN, OrderStatus
from risk.models import KillSwitchEvent
from risk.services import kill_switch
from risk.types import OrderType
from tests import factories
from tests.bench import seeding
from tests.bench.figures import Figures, verdict
from tests.bench.load import SYMBOLS
from tests.bench.plan import Effort
from tests.bench.workplace import REPOSITORY, child_environment

ORDERS = 100
VOLUME = Decimal(10_000_000)
REPEATS = 5
REASON = "measuring how long it takes"
_seconds = count(1)


def measure(_effort: Effort) -> Figures:
    """Measure each a few times on an account of its own."""
    account = seeding.desk("bench-extras")
    dispatched, booked = [], []
    for _ in range(REPEATS):
        dispatched.append(_dispatch(account))
        booked.append(_book(account))
    halt = [_halt(account) for _ in range(REPEATS)]
    figures: Figures = {
        "dispatch_of_100_ms": _milliseconds(dispatched),
        "fills_booked_per_second": round(ORDERS / median(booked)),
        "fills_booked_of_100_ms": _milliseconds(booked),
        "kill_switch_engaged_ms": _milliseconds([engaged for engaged, _ in halt]),
        "kill_switch_with_100_open_orders_ms": _milliseconds([both for _, both in halt]),
        "status_command_ms": _milliseconds([_run("manage.py", "status", "--json") for _ in range(3)]),
        "process_start_ms": _milliseconds([_run("-c", "import django; django.setup()") for _ in range(3)]),
    }
    worst = figures["kill_switch_with_100_open_orders_ms"]["max_ms"]
    return figures | {"targets": {"kill switch with 100 open orders, ms": verdict(worst, most=1_000)}}


def _milliseconds(seconds: list[float]) -> Figures:
    return {
        "median_ms": round(median(seconds) * 1000, 1),
        "min_ms": round(min(seconds) * 1000, 1),
        "max_ms": round(max(seconds) * 1000, 1),
        "n": len(seconds),
    }


def _timed(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _store_orders(account: Account) -> None:
    wishes = [seeding.intent(account, order_type=OrderType.MARKET, limit_price=None) for _ in range(ORDERS)]
    results = submit_orders(intents=wishes, account=account, wall_now=seeding.wall_now())
    assert all(result.accepted for result in results), results[0].denials


def _dispatch(account: Account) -> float:
    """Send 100 stored orders to the built-in exchange: claim, submit, record the answers."""
    _store_orders(account)
    broker = broker_for(account)
    return _timed(lambda: dispatch_once(account=account, broker=broker, wall_now=seeding.wall_now(), limit=ORDERS))


def _book(account: Account) -> float:
    """Book the fills of those orders, and the exchange's other reports of them."""
    broker = broker_for(account)
    assert isinstance(broker, PaperBroker)
    at = factories.MARKET_AT + timedelta(seconds=next(_seconds))
    ticks = [
        QuoteTick(symbol=symbol, at=at, bid=Decimal("99.99"), ask=Decimal("100.01"), last=Decimal(100), volume=VOLUME)
        for symbol in SYMBOLS
    ]
    broker.advance(ticks)
    taken = _timed(lambda: apply_reports(account=account, broker=broker, wall_now=seeding.wall_now()))
    left = Order.objects.filter(account=account, status__in=sorted(OPEN)).count()
    assert not left, f"{left} of {ORDERS} orders did not fill"
    return taken


def _halt(account: Account) -> tuple[float, float]:
    """Engage the account's switch with 100 orders waiting: until it is in force, and until all are canceled."""
    _store_orders(account)
    scope = account.scope
    alone = _timed(
        lambda: kill_switch.engage(
            scope="strategy:EXTERNAL", operator="bench", reason=f"{REASON} {perf_counter()}",
            source=KillSwitchEvent.Source.COMMAND, now=seeding.wall_now(),
        )
    )  # fmt: skip
    both = _timed(
        lambda: engage_kill_switch(
            scope=scope, operator="bench", reason=REASON, source=KillSwitchEvent.Source.COMMAND,
            wall_now=seeding.wall_now(),
        )
    )  # fmt: skip
    assert not Order.objects.filter(account=account, status=OrderStatus.PENDING).exists()
    _release(scope)
    return alone, both


def _release(scope: str) -> None:
    KillSwitchEvent.objects.create(
        scope=scope, engaged=False, operator="bench", second_operator="another", reason=REASON,
        source=KillSwitchEvent.Source.COMMAND, at=seeding.wall_now(),
    )  # fmt: skip


def _run(*arguments: str) -> float:
    """Time a command; what it answers does not matter."""
    return _timed(
        lambda: subprocess.run(
            [sys.executable, *arguments], cwd=REPOSITORY, env=child_environment(), capture_output=True, check=False
        )
    )
