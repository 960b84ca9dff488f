"""Reads of the trading day."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from django.db.models import QuerySet

from execution.models import Account, Position, Strategy
from marketdata.models import Quote
from trading.models import Heartbeat, Job, ReplayRun, Run
from trading.targets import ZERO, Holding


@dataclass(frozen=True, slots=True)
class StrategyBook:
    """A strategy's holdings by symbol, and its profit so far: realised, dividends, open, less fees (currency)."""

    holdings: dict[str, Holding] = field(default_factory=dict)
    profit: Decimal = ZERO


def strategy_book(account: Account, strategy: Strategy, symbols: Iterable[str]) -> StrategyBook:
    """Return what a strategy holds, and what `symbols` and its holdings cost now. Two queries.

    Prices are the last trades of the account's feed; a position without one is valued at its own mark, and cannot be
    traded.
    """
    lines = list(Position.objects.filter(account=account).select_related("instrument").order_by("pk"))
    own = {line.instrument.symbol: line for line in lines if line.strategy_id == strategy.pk}
    others = [line for line in lines if line.strategy_id != strategy.pk]
    quotes = Quote.objects.filter(
        feed_id=account.feed_id, instrument__symbol__in={*symbols, *own}, last__isnull=False
    ).select_related("instrument")
    quoted = {quote.instrument.symbol: quote for quote in quotes}
    holdings = {
        symbol: _holding(own.get(symbol), quoted.get(symbol), [o for o in others if o.instrument.symbol == symbol])
        for symbol in {*quoted, *own}
    }
    return StrategyBook(holdings, sum((_profit(line, holdings[symbol]) for symbol, line in own.items()), ZERO))


def _holding(line: Position | None, quote: Quote | None, others: list[Position]) -> Holding:
    return Holding(
        price=None if quote is None else quote.last,
        quantity=ZERO if line is None else line.quantity,
        open_buy_quantity=ZERO if line is None else line.open_buy_quantity,
        open_sell_quantity=ZERO if line is None else line.open_sell_quantity,
        others_long=sum((other.quantity + other.open_buy_quantity for other in others), ZERO),
        others_short=sum((other.quantity - other.open_sell_quantity for other in others), ZERO),
        lot_size=Decimal(1) if quote is None else quote.instrument.lot_size,
        shortable=quote is None or quote.instrument.shortable,
    )


def _profit(line: Position, holding: Holding) -> Decimal:
    price = line.current_price if holding.price is None else holding.price
    profit: Decimal = line.realized_pnl + line.dividends - line.fees + line.quantity * price - line.cost_basis
    return profit


def runs(
    *,
    account: Account | None = None,
    strategy: str | None = None,
    state: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> QuerySet[Run]:
    """Return runs with account and strategy, newest first, filtered by what is given."""
    rows = Run.objects.select_related("account", "strategy").order_by("-trading_date", "-id")
    if account is not None:
        rows = rows.filter(account=account)
    if strategy is not None:
        rows = rows.filter(strategy__name=strategy)
    if state is not None:
        rows = rows.filter(state=state)
    if start is not None:
        rows = rows.filter(trading_date__gte=start)
    if end is not None:
        rows = rows.filter(trading_date__lte=end)
    return rows


def unfinished_replay(parameter_hash: str) -> ReplayRun | None:
    """Return the newest replay of these parameters when it was interrupted."""
    newest = ReplayRun.objects.filter(parameter_hash=parameter_hash).select_related("account__feed").first()
    return newest if newest is not None and newest.finished_at is None else None


def jobs(*, kind: str | None = None, state: str | None = None) -> QuerySet[Job]:
    """Return long work, newest first, filtered by what is given; logs are not read."""
    rows = Job.objects.defer("log").order_by("-pk")
    if kind is not None:
        rows = rows.filter(kind=kind)
    if state is not None:
        rows = rows.filter(state=state)
    return rows


def heartbeat_ages(wall_now: datetime) -> dict[str, int]:
    """Return whole seconds since the last sign of life, by process name."""
    rows = Heartbeat.objects.values_list("name", "at")
    return {name: int((wall_now - at).total_seconds()) for name, at in rows}
