"""Reads of the book."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from execution.ledger import Lot, average_price, rounded, unrealized
from execution.models import Account, AccountDay, CashEntry, Order, Position, StrategyDay
from execution.reservation import HOLDS_NOTHING
from execution.states import OPEN, OrderStatus
from marketdata import calendar
from marketdata.models import Feed, Quote
from risk.selectors import default_limits

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """One line of a strategy's sub-ledger at its mark; money in account currency."""

    position_id: int
    strategy: str
    symbol: str
    quantity: Decimal
    average_price: Decimal | None
    cost_basis: Decimal
    current_price: Decimal
    current_price_at: datetime
    is_stale: bool
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    dividends: Decimal
    fees: Decimal
    open_buy_quantity: Decimal
    open_sell_quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary:
    """The account now, at the marks; money in account currency. `day_pnl` counts from the close before."""

    account: str
    mode: str
    market_at: datetime
    trading_date: date
    cash: Decimal
    equity: Decimal
    starting_cash: Decimal
    day_base_equity: Decimal
    day_pnl: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    dividends: Decimal
    fees: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal
    buying_power: Decimal
    drawdown: Decimal
    open_orders: int
    names: int
    stale_marks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimePnl:
    """P&L now: the account, its lines, and their sums by strategy."""

    summary: AccountSummary
    positions: list[PositionView]
    by_strategy: dict[str, dict[str, Decimal]]


def desk_account(mode: str) -> Account | None:
    """Return the desk's account of a trading mode."""
    return Account.objects.select_related("feed").filter(name=mode, kind=Account.Kind.DESK).first()


def positions(account: Account, wall_now: datetime, *, include_flat: bool = False) -> list[PositionView]:
    """Return position lines at their marks, two queries: the feed's quote when it is newer, else the last known price.

    A mark is stale when it is older than the limit on price age, in trading time.
    """
    rows = Position.objects.filter(account=account).select_related("strategy", "instrument")
    if not include_flat:
        rows = rows.filter(~Q(quantity=0) | Q(open_order_count__gt=0))
    return _views(account, rows.order_by("strategy__name", "instrument__symbol"), wall_now)


def _views(account: Account, rows: Iterable[Position], wall_now: datetime) -> list[PositionView]:
    market_at = account.feed.market_now(wall_now)
    oldest = int(default_limits()["max_price_age_seconds"])
    quotes = {
        instrument_id: (last, at)
        for instrument_id, last, at in Quote.objects.filter(feed_id=account.feed_id).values_list(
            "instrument_id", "last", "at"
        )
        # A quote may have sides and no trade yet, and one from the future is no mark.
        if last is not None and account.feed.price_age(at, market_at) >= 0
    }
    return [_view(row, quotes.get(row.instrument_id), account.feed, market_at, oldest) for row in rows]


def _view(
    row: Position, quote: tuple[Decimal, datetime] | None, feed: Feed, market_at: datetime, oldest: int
) -> PositionView:
    price, at = row.current_price, row.current_price_at
    if quote is not None and quote[1] >= at:
        price, at = quote
    lot = Lot(row.quantity, row.cost_basis)
    return PositionView(
        position_id=row.pk,
        strategy=row.strategy.name,
        symbol=row.instrument.symbol,
        quantity=row.quantity,
        average_price=average_price(lot),
        cost_basis=row.cost_basis,
        current_price=price,
        current_price_at=at,
        is_stale=not 0 <= feed.price_age(at, market_at) <= oldest,
        market_value=rounded(row.quantity * price),
        unrealized_pnl=unrealized(lot, price),
        realized_pnl=row.realized_pnl + row.dividends,
        dividends=row.dividends,
        fees=row.fees,
        open_buy_quantity=row.open_buy_quantity,
        open_sell_quantity=row.open_sell_quantity,
    )


def realtime_pnl(account: Account, wall_now: datetime) -> RealtimePnl:
    """Return P&L of everything, flat lines included in the sums.

    Cash is read together with the positions: a fill between two reads would look like money that came or went.
    """
    found = Position.objects.filter(account=account).select_related("strategy", "instrument", "account")
    rows = list(found.order_by("strategy__name", "instrument__symbol"))
    if rows:
        account.cash = rows[0].account.cash
    else:
        account.refresh_from_db(fields=["cash"])
    lines = _views(account, rows, wall_now)
    by_strategy: dict[str, dict[str, Decimal]] = {}
    for line in lines:
        sums = by_strategy.setdefault(
            line.strategy, dict.fromkeys(("realized_pnl", "unrealized_pnl", "dividends", "fees", "gross"), ZERO)
        )
        for name in ("realized_pnl", "unrealized_pnl", "dividends", "fees"):
            sums[name] += getattr(line, name)
        sums["gross"] += abs(line.market_value)
    return RealtimePnl(summary=_summary(account, lines, wall_now), positions=lines, by_strategy=by_strategy)


def account_summary(account: Account, wall_now: datetime) -> AccountSummary:
    """Return the account's totals now."""
    return realtime_pnl(account, wall_now).summary


def _summary(account: Account, lines: Sequence[PositionView], wall_now: datetime) -> AccountSummary:
    market_at = account.feed.market_now(wall_now)
    day = calendar.trading_date(market_at)
    net = sum((line.market_value for line in lines), ZERO)
    gross = sum((abs(line.market_value) for line in lines), ZERO)
    equity = account.cash + net
    newest = AccountDay.objects.filter(account=account, date__lt=day).order_by("-date").first()
    base = newest.equity + transfers_since(account, newest.date) if newest else account.starting_cash
    peak = max(newest.peak_equity if newest else account.starting_cash, equity)
    return AccountSummary(
        account=account.name,
        mode=account.mode,
        market_at=market_at,
        trading_date=day,
        cash=account.cash,
        equity=equity,
        starting_cash=account.starting_cash,
        day_base_equity=base,
        day_pnl=equity - base,
        realized_pnl=sum((line.realized_pnl for line in lines), ZERO),
        unrealized_pnl=sum((line.unrealized_pnl for line in lines), ZERO),
        dividends=sum((line.dividends for line in lines), ZERO),
        fees=sum((line.fees for line in lines), ZERO),
        gross_exposure=gross,
        net_exposure=net,
        buying_power=max(ZERO, equity * account.margin_multiplier - gross),
        drawdown=(peak - equity) / peak if peak > 0 else ZERO,
        open_orders=open_orders(account).count(),
        names=len({line.symbol for line in lines if line.quantity}),
        stale_marks=sum(line.is_stale and bool(line.quantity) for line in lines),
    )


def transfers_since(account: Account, day: date) -> Decimal:
    """Return deposits less withdrawals after a day, by which its equity moves as a base: a deposit hides no loss."""
    moved = CashEntry.objects.filter(account=account, kind__in=CashEntry.TRANSFERS, trading_date__gt=day)
    return moved.aggregate(sum=Sum(Coalesce("base_amount", "amount")))["sum"] or ZERO


def open_orders(account: Account) -> QuerySet[Order]:
    """Return orders that may still trade, newest first."""
    return Order.objects.filter(account=account, status__in=sorted(OPEN)).select_related("strategy", "instrument")


def unknown_outcomes(account: Account, *, wall_now: datetime, older_than: timedelta) -> QuerySet[Order]:
    """Return orders that were claimed longer ago than that and never got an answer."""
    return Order.objects.filter(
        account=account,
        status__in=[OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL],
        broker_order_id="",
        submitted_at__lt=wall_now - older_than,
    ).select_related("strategy", "instrument")


def late_cancels(account: Account, *, wall_now: datetime, older_than: timedelta) -> QuerySet[Order]:
    """Return orders whose cancel was asked for longer ago than that and is not done, oldest first: they may fill."""
    return (
        open_orders(account)
        .filter(status=OrderStatus.PENDING_CANCEL, cancel_requested_at__lt=wall_now - older_than)
        .order_by("cancel_requested_at", "pk")
    )


def net_quantities(account: Account) -> dict[str, Decimal]:
    """Return the account's net shares by symbol, over all strategies, flat ones left out."""
    rows = Position.objects.filter(account=account).values_list("instrument__symbol").annotate(net=Sum("quantity"))
    return {symbol: net for symbol, net in rows if net}


def daily_performance(
    account: Account, *, start: date | None = None, end: date | None = None, strategy: str = ""
) -> QuerySet[AccountDay] | QuerySet[StrategyDay]:
    """Return closed days, oldest first: of the account, or of one strategy."""
    period = Q()
    if start is not None:
        period &= Q(date__gte=start)
    if end is not None:
        period &= Q(date__lte=end)
    if strategy:
        return StrategyDay.objects.filter(period, account=account, strategy__name=strategy).order_by("date")
    return AccountDay.objects.filter(period, account=account).order_by("date")


# The same rule as `execution.reservation.reservation_of`, over the rows.
RESERVATION_DRIFT = """
SELECT p.id FROM execution_position p
LEFT JOIN (
    SELECT account_id, strategy_id, instrument_id,
           sum(CASE WHEN side = 'buy' THEN leaves ELSE 0 END) AS buy,
           sum(CASE WHEN side = 'sell' THEN leaves ELSE 0 END) AS sell,
           sum(CASE WHEN side = 'buy' THEN round(leaves * reserve_price, 8) ELSE 0 END) AS buy_notional,
           sum(CASE WHEN side = 'sell' THEN round(leaves * reserve_price, 8) ELSE 0 END) AS sell_notional,
           sum(round(leaves * loss_per_share, 8)) AS loss, count(*) AS orders
    FROM (SELECT *, coalesce(cover_quantity, quantity - filled_quantity) AS leaves FROM execution_order
          WHERE status = ANY(%(holding)s)
            AND NOT (leg_role = 'stop_loss' AND order_class IN ('bracket', 'oco'))) o
    GROUP BY account_id, strategy_id, instrument_id
) o ON o.account_id = p.account_id AND o.strategy_id = p.strategy_id AND o.instrument_id = p.instrument_id
WHERE p.account_id = %(account)s AND (
    p.open_buy_quantity <> coalesce(o.buy, 0) OR p.open_sell_quantity <> coalesce(o.sell, 0)
    OR abs(p.open_buy_notional - coalesce(o.buy_notional, 0)) > 0.000001
    OR abs(p.open_sell_notional - coalesce(o.sell_notional, 0)) > 0.000001
    OR abs(p.reserved_loss - coalesce(o.loss, 0)) > 0.000001 OR p.open_order_count <> coalesce(o.orders, 0))
"""


def reservation_drift(account: Account) -> list[int]:
    """Return positions whose reservations are not the sum of what their open orders hold; empty when all is well."""
    with connection.cursor() as cursor:
        cursor.execute(RESERVATION_DRIFT, {"account": account.pk, "holding": sorted(OPEN - HOLDS_NOTHING)})
        return [row[0] for row in cursor.fetchall()]


def cash_difference(account: Account) -> Decimal:
    """Return the account's cash minus the sum of its cash entries; 0 when all is well."""
    total = CashEntry.objects.filter(account=account).aggregate(total=Sum("amount"))["total"] or ZERO
    cash: Decimal = Account.objects.values_list("cash", flat=True).get(pk=account.pk)
    return cash - total


QUANTITY_DIFFERENCE = """
SELECT p.id FROM execution_position p
WHERE p.account_id = %(account)s AND p.quantity <>
    coalesce((SELECT sum(CASE WHEN f.side = 'buy' THEN f.quantity ELSE -f.quantity END) FROM execution_fill f
              WHERE f.account_id = p.account_id AND f.strategy_id = p.strategy_id
                AND f.instrument_id = p.instrument_id), 0)
    + coalesce((SELECT sum(a.quantity_after - a.quantity_before) FROM execution_positionadjustment a
                WHERE a.position_id = p.id), 0)
"""


def quantity_differences(account: Account) -> list[int]:
    """Return positions whose shares are not what their fills and adjustments add up to; empty when all is well."""
    with connection.cursor() as cursor:
        cursor.execute(QUANTITY_DIFFERENCE, {"account": account.pk})
        return [row[0] for row in cursor.fetchall()]
