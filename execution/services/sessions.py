"""Close a session: mark what is held and store how the day went."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Abs

from execution.crashpoints import Point, crashpoint
from execution.ledger import Lot, rounded, unrealized
from execution.models import Account, AccountDay, CashEntry, Order, Position, StrategyDay
from execution.signals import session_closed
from marketdata import calendar

ZERO = Decimal(0)

MARK_POSITIONS = """
WITH newer AS MATERIALIZED (
    SELECT p.id, q.last, q.at
    FROM execution_position p JOIN marketdata_quote q ON q.instrument_id = p.instrument_id
    WHERE p.account_id = %s AND q.feed_id = %s AND p.quantity <> 0 AND q.at > p.current_price_at AND q.at <= %s
    ORDER BY p.id FOR NO KEY UPDATE OF p
)
UPDATE execution_position p SET current_price = newer.last, current_price_at = newer.at, updated_at = now()
FROM newer WHERE p.id = newer.id
"""


@dataclass(slots=True)
class _Sums:
    """What a strategy did on the day and holds at its close, account currency."""

    realized: Decimal = ZERO
    unrealized: Decimal = ZERO
    fees: Decimal = ZERO
    dividends: Decimal = ZERO
    gross: Decimal = ZERO
    net: Decimal = ZERO
    turnover: Decimal = ZERO
    orders: int = 0
    fills: int = 0
    previous_unrealized: Decimal = field(default=ZERO)

    @property
    def pnl(self) -> Decimal:
        """Change of equity: realised (dividends included), change of the unrealised, less fees."""
        return self.realized + self.unrealized - self.previous_unrealized - self.fees


def mark_positions(*, account: Account, market_at: datetime) -> int:
    """Set the mark of everything held to the feed's newest quote of that time or before; returns how many moved.

    Locks: positions (by pk).
    """
    with connection.cursor() as cursor:
        cursor.execute(MARK_POSITIONS, [account.pk, account.feed_id, market_at])
        return int(cursor.rowcount)


@transaction.atomic
def close_session(*, account: Account, day: date, wall_now: datetime) -> AccountDay:
    """Mark at the close and store the day for the account and every strategy; a closed day is returned as it is.

    equity = cash + value at the mark = starting cash + realised + unrealised - fees, summed since the beginning.
    Locks: account, positions (by pk).
    """
    locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    stored = AccountDay.objects.filter(account=locked, date=day).first()
    if stored is not None:
        return stored
    closed_at = min(calendar.session_close(day), account.feed.market_now(wall_now))
    mark_positions(account=locked, market_at=closed_at)
    sums = _day_sums(locked, day)
    StrategyDay.objects.bulk_create(
        StrategyDay(account=locked, strategy_id=strategy_id, date=day, closed_at=closed_at, **_columns(item))
        for strategy_id, item in sorted(sums.items())
    )
    crashpoint(Point.CLOSE_BETWEEN_ROWS)
    result = _account_day(locked, day, sums.values(), closed_at)
    crashpoint(Point.CLOSE_BEFORE_COMMIT)
    transaction.on_commit(lambda: session_closed.send_robust(AccountDay, account_id=locked.pk, date=day))
    return result


def _day_sums(account: Account, day: date) -> dict[int, _Sums]:
    """Sum up each strategy; money is what no earlier day has told: a late fill or a missed close is in the next."""
    sums: dict[int, _Sums] = defaultdict(_Sums)
    for row in Position.objects.filter(account=account):
        item = sums[row.strategy_id]
        value = rounded(row.quantity * row.current_price)
        item.realized += row.realized_pnl + row.dividends
        item.dividends += row.dividends
        item.fees += row.fees
        item.unrealized += unrealized(Lot(row.quantity, row.cost_basis), row.current_price)
        item.gross += abs(value)
        item.net += value
    _subtract_earlier_days(account, sums)
    previous = AccountDay.objects.filter(account=account, date__lt=day).aggregate(newest=Max("date"))["newest"]
    since = Q(trading_date__lte=day) & (Q() if previous is None else Q(trading_date__gt=previous))
    trades = CashEntry.objects.filter(since, account=account, kind=CashEntry.Kind.TRADE).values_list("strategy_id")
    for strategy_id, turnover, count in trades.annotate(turnover=Sum(Abs("amount")), count=Count("id")).order_by():
        sums[strategy_id].turnover, sums[strategy_id].fills = turnover, count
    orders = Order.objects.filter(since, account=account).values_list("strategy_id").annotate(Count("id")).order_by()
    for strategy_id, count in orders:
        sums[strategy_id].orders = count
    _add_previous(account, day, sums)
    return sums


def _subtract_earlier_days(account: Account, sums: dict[int, _Sums]) -> None:
    told = StrategyDay.objects.filter(account=account).values_list("strategy_id").order_by()
    for strategy_id, realized, dividends, fees in told.annotate(Sum("realized_pnl"), Sum("dividends"), Sum("fees")):
        item = sums[strategy_id]
        item.realized -= realized
        item.dividends -= dividends
        item.fees -= fees


def _add_previous(account: Account, day: date, sums: dict[int, _Sums]) -> None:
    newest = StrategyDay.objects.filter(account=account, date__lt=day).order_by("strategy_id", "-date")
    for strategy_id, value in newest.distinct("strategy_id").values_list("strategy_id", "unrealized_pnl"):
        sums[strategy_id].previous_unrealized = value


def _add_of_account(account: Account, total: _Sums) -> None:
    """Add what moved the account's cash and no strategy's, and what no earlier day has told of it.

    Fees are fees; dividends, interest and what the broker has words of its own for count as realised. Transfers are no
    result.
    """
    entries = CashEntry.objects.filter(account=account, fill__isnull=True, strategy__isnull=True)
    moved = dict(entries.exclude(kind__in=CashEntry.TRANSFERS).order_by().values_list("kind").annotate(Sum("amount")))
    if not moved:
        return
    names = ("realized_pnl", "fees", "dividends")
    days = AccountDay.objects.filter(account=account).aggregate(*(Sum(name) for name in names))
    strategies = StrategyDay.objects.filter(account=account, date__lte=_newest_day(account))
    lines = strategies.aggregate(*(Sum(name) for name in names))
    told = {name: (days[f"{name}__sum"] or ZERO) - (lines[f"{name}__sum"] or ZERO) for name in names}
    fees = -moved.pop(CashEntry.Kind.FEE, ZERO)
    dividends = moved.get(CashEntry.Kind.DIVIDEND, ZERO)
    total.fees += fees - told["fees"]
    total.dividends += dividends - told["dividends"]
    total.realized += sum(moved.values(), ZERO) - told["realized_pnl"]


def _newest_day(account: Account) -> date:
    """Return the newest day that the account has closed; the strategies' rows of a new one may be there before."""
    newest = AccountDay.objects.filter(account=account).aggregate(newest=Max("date"))["newest"]
    return newest or date.min


def _columns(item: _Sums) -> dict[str, Decimal | int]:
    return {
        "realized_pnl": item.realized,
        "unrealized_pnl": item.unrealized,
        "fees": item.fees,
        "dividends": item.dividends,
        "pnl": item.pnl,
        "gross_exposure": item.gross,
        "net_exposure": item.net,
        "turnover": item.turnover,
        "order_count": item.orders,
        "fill_count": item.fills,
    }


def _account_day(account: Account, day: date, sums: Iterable[_Sums], closed_at: datetime) -> AccountDay:
    total = _Sums()
    for item in sums:
        total.realized += item.realized
        total.unrealized += item.unrealized
        total.fees += item.fees
        total.dividends += item.dividends
        total.gross += item.gross
        total.net += item.net
        total.turnover += item.turnover
        total.orders += item.orders
        total.fills += item.fills
        total.previous_unrealized += item.previous_unrealized
    _add_of_account(account, total)
    equity = account.cash + total.net
    previous = AccountDay.objects.filter(account=account, date__lt=day).order_by("-date").first()
    return AccountDay.objects.create(
        account=account,
        date=day,
        cash=account.cash,
        equity=equity,
        peak_equity=max(equity, previous.peak_equity if previous else account.starting_cash),
        closed_at=closed_at,
        **_columns(total),
    )
