"""Read an account as the watch needs it: equity at the marks, the bases of its losses, what is held, how old it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.models import Account, AccountDay, BrokerLink, CashEntry, Position
from marketdata import calendar
from marketdata.models import Feed, Quote, TradingStatus
from marketdata.types import FeedKind
from risk.breaker_rules import Snapshot
from risk.exposure import HeldLine
from risk.limits import LimitBook
from risk.models import BrokerFault, RiskReading

ZERO = Decimal(0)
WINDOW = timedelta(minutes=1)
FROM_THE_FUTURE = 10**9
"""Age (s) of a mark that cannot be known yet: older than any limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The price of a held name, and its age in trading seconds."""

    symbol: str
    price: Decimal
    age_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account at one instant; money in account currency, deposits counted in as they are in `RiskReading`."""

    account: Account
    market_at: datetime
    trading_date: date
    equity: Decimal
    net_deposits: Decimal
    day_base_equity: Decimal
    week_base_equity: Decimal
    lines: list[HeldLine]
    marks: list[Mark]


def read_view(*, account: Account, wall_now: datetime) -> AccountView:
    """Read cash, positions and prices of the account, five queries.

    Cash comes with the positions, so that a fill between two reads cannot look like a loss. Lines that are flat are
    read as well: without them an account that has just sold everything would have no row to bring its cash.
    """
    found = Position.objects.filter(account=account).select_related("account", "strategy", "instrument")
    before = Account.objects.get(pk=account.pk)
    rows = list(found.order_by("instrument__symbol", "strategy__name"))
    cash = rows[0].account.cash if rows else before.cash
    market_at = account.feed.market_now(wall_now)
    day = calendar.trading_date(market_at)
    marks = _marks(rows, account.feed, market_at, wall_now)
    lines = [_line(row, marks[row.instrument_id].price) for row in rows]
    transfers = _transfers(account)
    return AccountView(
        account=rows[0].account if rows else before,
        market_at=market_at,
        trading_date=day,
        equity=cash + sum((line.value for line in lines), ZERO),
        net_deposits=sum(transfers.values(), ZERO),
        day_base_equity=_base(account, day, transfers),
        week_base_equity=_base(account, day - timedelta(days=day.weekday()), transfers),
        lines=lines,
        marks=[marks[row.instrument_id] for row in rows if row.quantity],
    )


def snapshot_of(view: AccountView, *, reading: RiskReading, limits: LimitBook, wall_now: datetime) -> Snapshot:
    """Return what the rules judge; `reading` holds the peaks. At most three queries."""
    faults = BrokerFault.objects.filter(scope=view.account.scope, at__gt=wall_now - WINDOW, at__lte=wall_now)
    counts = faults.aggregate(
        errors=Count("id", filter=Q(kind=BrokerFault.Kind.ERROR)),
        rejects=Count("id", filter=Q(kind=BrokerFault.Kind.REJECT)),
    )
    worst, allowed = _oldest(view, limits)
    has_line = view.account.mode in NETWORK_MODES
    return Snapshot(
        equity=view.equity,
        day_base_equity=view.day_base_equity,
        week_base_equity=view.week_base_equity,
        session_peak_equity=reading.session_peak_equity,
        peak_equity=reading.peak_equity,
        broker_errors=counts["errors"],
        rejects=counts["rejects"],
        feed_age_seconds=worst.age_seconds if worst else 0,
        reconciliation=view.account.reconciliation,
        has_line=has_line,
        clock_skew_ms=_clock_skew(view.account) if has_line else None,
        stale_name=worst.symbol if worst else "",
        feed_age_limit=allowed,
    )


def _clock_skew(account: Account) -> int | None:
    """Return the difference of the clocks; before the first comparison with the broker none was measured."""
    link = BrokerLink.objects.filter(account=account).values_list("clock_skew_milliseconds", flat=True).first()
    return 0 if link is None and account.reconciliation == Account.Reconciliation.PENDING else link


def _marks(rows: Sequence[Position], feed: Feed, market_at: datetime, wall_now: datetime) -> dict[int, Mark]:
    """Return the mark of each instrument: the feed's quote unless the position knows a newer price."""
    wanted = {row.instrument_id for row in rows}
    quotes = {
        quote.instrument_id: quote
        for quote in Quote.objects.filter(feed=feed, instrument_id__in=wanted, last__isnull=False)
        if feed.price_age(quote.at, market_at) >= 0
    }
    marks: dict[int, Mark] = {}
    for row in rows:
        quote = quotes.get(row.instrument_id)
        newer = quote is not None and quote.at >= row.current_price_at
        price, at = (quote.last, quote.at) if quote is not None and newer else (row.current_price, row.current_price_at)
        age = feed.price_age(at, market_at)
        if quote is not None and newer and feed.kind == FeedKind.REPLAY:
            # A replay's hours pass in seconds: what was stored a moment ago is no old price.
            age = min(age, int((wall_now - quote.updated_at).total_seconds()))
        marks[row.instrument_id] = Mark(
            symbol=row.instrument.symbol,
            price=row.current_price if price is None else price,
            age_seconds=age if age >= 0 else FROM_THE_FUTURE,
        )
    return marks


def _line(row: Position, mark: Decimal) -> HeldLine:
    return HeldLine(
        strategy=row.strategy.name,
        symbol=row.instrument.symbol,
        quantity=row.quantity,
        mark=mark,
        open_buy_quantity=row.open_buy_quantity,
        open_sell_quantity=row.open_sell_quantity,
        lot_size=row.instrument.lot_size,
    )


def _oldest(view: AccountView, limits: LimitBook) -> tuple[Mark | None, Decimal | None]:
    """Return the mark that is nearest to its limit on age, and that limit; a name that is halted has no new price."""
    ages = [(mark, limits.resolve(strategy="", symbol=mark.symbol).account.max_feed_age_seconds) for mark in view.marks]
    beyond = {mark.symbol for mark, allowed in ages if mark.age_seconds > allowed}
    if beyond:
        halted = TradingStatus.objects.filter(
            feed_id=view.account.feed_id, halted=True, instrument__symbol__in=beyond
        ).values_list("instrument__symbol", flat=True)
        excused = set(halted)
        ages = [(mark, allowed) for mark, allowed in ages if mark.symbol not in excused]
    if not ages:
        return None, None
    return max(ages, key=lambda pair: (pair[0].age_seconds - pair[1], pair[0].symbol))


def _transfers(account: Account) -> dict[date, Decimal]:
    """Return deposits and withdrawals by the session they count in; in kind at their value."""
    rows = CashEntry.objects.filter(account=account, kind__in=CashEntry.TRANSFERS).order_by()
    totals = rows.values_list("trading_date").annotate(total=Sum(Coalesce("base_amount", "amount")))
    return dict(totals)


def _base(account: Account, before: date, transfers: dict[date, Decimal]) -> Decimal:
    """Return the equity of the newest close before that session, with what was paid in or out since.

    A session is the exchange's: midnight of any clock changes nothing. Before the first close it is what was paid in.
    """
    newest = AccountDay.objects.filter(account=account, date__lt=before).order_by("-date").first()
    if newest is None:
        return sum(transfers.values(), ZERO)
    base: Decimal = newest.equity
    return base + sum((amount for day, amount in transfers.items() if day > newest.date), ZERO)


def highest_equity(view: AccountView) -> Decimal:
    """Return the highest equity the account ever closed at or has now, with later deposits counted in.

    Asked once, when nothing has been remembered yet.
    """
    transfers = _transfers(view.account)
    closes = AccountDay.objects.filter(account=view.account).values_list("date", "equity")
    adjusted = [equity + sum((amount for on, amount in transfers.items() if on > day), ZERO) for day, equity in closes]
    return max([view.equity, view.net_deposits, *adjusted])
