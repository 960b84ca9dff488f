"""P&L of many positions, as a page or a client asks for it."""

from decimal import Decimal
from time import perf_counter

from django.db import connection
from django.test.utils import CaptureQueriesContext

from execution.models import Account, Position, Strategy
from execution.selectors import desk_account, realtime_pnl
from marketdata.models import Instrument, Quote
from tests import factories
from tests.bench import seeding
from tests.bench.figures import Figures, latencies, verdict
from tests.bench.plan import Effort

COUNTS = (100, 500)
CALLS = 30
SHARES, COST = Decimal(10), Decimal(950)


def measure(_effort: Effort) -> Figures:
    """Ask for the P&L of accounts with 100 and 500 positions, all quoted."""
    by_count = {str(count): _ask(_account(count)) for count in COUNTS}
    return {
        "by_positions": by_count,
        "targets": {"100 positions, p99 ms": verdict(by_count["100"]["p99_ms"], most=100)},
    }


def _account(count: int) -> Account:
    account = factories.make_account(name=f"pnl-{count}", starting_cash=seeding.CASH)
    strategy = Strategy.objects.get(name=Strategy.MANUAL)
    Instrument.objects.bulk_create([Instrument(symbol=f"P{n:03d}") for n in range(count)], ignore_conflicts=True)
    instruments = list(Instrument.objects.filter(symbol__regex="^P[0-9]").order_by("symbol")[:count])
    at = factories.MARKET_AT
    Quote.objects.bulk_create(
        [Quote(feed=account.feed, instrument=one, last=Decimal(101), at=at, source="bench") for one in instruments]
    )
    Position.objects.bulk_create(
        [
            Position(
                account=account, strategy=strategy, instrument=one, quantity=SHARES, cost_basis=COST,
                current_price=Decimal(100), current_price_at=at,
            )
            for one in instruments
        ]
    )  # fmt: skip
    return account


def _ask(account: Account) -> Figures:
    samples = []
    for _ in range(CALLS):
        started = perf_counter()
        found = desk_account(account.name)
        assert found is not None
        answer = realtime_pnl(found, seeding.wall_now())
        samples.append((perf_counter() - started) * 1000)
    assert answer.summary.unrealized_pnl == (SHARES * 101 - COST) * len(answer.positions)
    with CaptureQueriesContext(connection) as queries:
        realtime_pnl(account, seeding.wall_now())
    return {**latencies(samples), "queries": len(queries)}
