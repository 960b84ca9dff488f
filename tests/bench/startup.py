"""P7: from the start of a dispatcher to "may trade", with a day's orders and positions to hold against a broker.

A broker over real sockets with its ordinary budget of requests. Most orders are over, some work, some have had no
answer, and the newest reports were not read.
"""

import json
from decimal import Decimal
from time import perf_counter

from execution.alpaca_wire.orders import OrderBody
from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration
from execution.brokers.alpaca.events import read_frame
from execution.brokers.alpaca.line import Line
from execution.emulator.clock import VenueClock
from execution.emulator.market import Listing, ScriptedMarket
from execution.emulator.server import RunningEmulator
from execution.emulator.venue import VenueSettings
from execution.models import Account, Order
from execution.reconciliation.runs import SETTLE
from execution.services.claims import claim_pending
from execution.services.inbox import reports_since
from execution.services.orders import submit_orders
from execution.services.recovery import begin_recovery, recover_account
from execution.services.reports import apply_reports
from execution.services.updates import take_updates
from marketdata.models import Feed
from risk.types import OrderIntent, OrderType, Side
from tests import factories
from tests.bench import seeding
from tests.bench.figures import Figures, verdict
from tests.bench.plan import QUICK, Effort

ORDERS, POSITIONS = 10_000, 500
WORKING, UNANSWERED, UNREAD = 300, 200, 200
BATCH = 500
D = Decimal


def measure(effort: Effort) -> Figures:
    """Prepare both books, lose what a crash loses, and start; a tenth of everything for a quick look."""
    part = 10 if effort.sessions <= QUICK.sessions else 1
    symbols = tuple(f"N{number:03d}" for number in range(POSITIONS // part))
    count = ORDERS // part
    market = ScriptedMarket(symbols)
    for symbol in symbols:
        market.add_listing(Listing(symbol=symbol, name=symbol))
        market.say(symbol, last=D(100), bid=D("99.99"), ask=D("100.01"), at=factories.MARKET_AT)
    clock = VenueClock.manual(factories.MARKET_AT)
    settings = VenueSettings(starting_cash=seeding.CASH, participation=D(1))
    with RunningEmulator(market=market, clock=clock, settings=settings) as emulator:
        return _started(emulator, symbols, count, part)


def _started(emulator: RunningEmulator, symbols: tuple[str, ...], count: int, part: int) -> Figures:
    account = _account(symbols)
    line = Line(
        AlpacaConfiguration(
            mode="alpaca_paper",
            key_id=emulator.keys.key_id,
            secret_key=emulator.keys.secret,
            base_url=emulator.url,
            stream_url=emulator.stream_url,
        )
    )
    broker = AlpacaBroker(line, reports=lambda cursor, limit: reports_since(account.pk, cursor, limit))
    began = perf_counter()
    _fill_both_books(emulator, broker, account, symbols, count, part)
    prepared = perf_counter() - began
    begin_recovery(account=account)
    requests = dict(emulator.surface.requests)
    began = perf_counter()
    resolved = recover_account(account=account, broker=broker, wall_now=seeding.wall_now() + 2 * SETTLE)
    seconds = perf_counter() - began
    line.close()
    asked = sum(emulator.surface.requests.values()) - sum(requests.values())
    state = Account.objects.get(pk=account.pk).reconciliation
    assert state == Account.Reconciliation.CLEAN, f"the books are {state}"
    return {
        "orders": Order.objects.filter(account=account).count(),
        "positions": len(symbols),
        "resolved": resolved,
        "requests": asked,
        "prepared_seconds": round(prepared, 1),
        "seconds": round(seconds, 2),
        "targets": {"start-up to may trade, s": verdict(round(seconds, 2), most=15)},
    }


def _account(symbols: tuple[str, ...]) -> Account:
    feed: Feed = factories.make_feed(name="feed-of-startup")
    account = factories.make_account(
        name="startup", feed=feed, starting_cash=seeding.CASH, mode=Account.Mode.ALPACA_PAPER
    )
    seeding.quote(feed, symbols)
    seeding.lift_limits()
    Account.objects.filter(pk=account.pk).update(reconciliation="clean")
    return Account.objects.select_related("feed").get(pk=account.pk)


def _fill_both_books(
    emulator: RunningEmulator,
    broker: AlpacaBroker,
    account: Account,
    symbols: tuple[str, ...],
    count: int,
    part: int,
) -> None:
    """Order through the gate, let the venue take it, and book what it tells, but for the last reports."""
    frames: list[str] = []
    emulator.call(lambda: emulator.venue.listeners.append(lambda message: frames.append(json.dumps(message))))
    working = WORKING // part
    for first in range(0, count, BATCH):
        wishes = [_wish(number, symbols, works=number >= count - working) for number in range(first, first + BATCH)]
        wishes = wishes[: count - first]
        results = submit_orders(intents=wishes, account=account, wall_now=seeding.wall_now())
        assert all(result.accepted for result in results), results[0].denials
        at = account.feed.market_now(seeding.wall_now())
        claim = claim_pending(account=account, dry_run=False, wall_now=seeding.wall_now(), market_at=at, limit=BATCH)
        bodies = [_body(order) for order in claim.orders]
        emulator.call(lambda taken=bodies: _take(emulator, taken))
        last = first + BATCH >= count
        _book(frames, account, broker, unread=UNREAD // part * last, lost=UNANSWERED // part * last)


def _take(emulator: RunningEmulator, bodies: list[OrderBody]) -> None:
    for body in bodies:
        emulator.venue.submit(body)
        emulator.venue.state.clock.advance(D("0.01"))  # a page of one instant could not be read on
    emulator.venue.state.clock.advance(D(1))
    emulator.venue.pump(emulator.venue.state.clock.now())


def _book(frames: list[str], account: Account, broker: AlpacaBroker, *, unread: int, lost: int) -> None:
    """Book what was told, but for the newest that nobody read, and the very newest that nobody heard."""
    now = seeding.wall_now()
    told, frames[:] = list(frames), []
    updates = [update for frame in told if (update := read_frame(frame, received_at=now)) is not None]
    updates = updates[: len(updates) - lost]
    read = len(updates) - unread
    take_updates(account_id=account.pk, updates=updates[:read], wall_now=now)
    apply_reports(account=account, broker=broker, wall_now=now)
    take_updates(account_id=account.pk, updates=updates[read:], wall_now=now)


def _wish(number: int, symbols: tuple[str, ...], *, works: bool) -> OrderIntent:
    return OrderIntent(
        strategy="manual",
        symbol=symbols[number % len(symbols)],
        side=Side.BUY,
        quantity=D(1 + number % 7),
        order_type=OrderType.LIMIT,
        limit_price=D(90) if works else D(101),
        client_order_id=f"startup-{number}",
    )


def _body(order: Order) -> OrderBody:
    return OrderBody(
        symbol=order.instrument.symbol,
        side=order.side,
        quantity=order.quantity,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        limit_price=order.limit_price,
        client_order_id=order.client_order_id,
    )
