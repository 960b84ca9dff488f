"""The risk of an account's portfolio from the daily bars of the lake, and how alike names move."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import polars as pl
import structlog

from execution.models import Account, Position
from marketdata import calendar
from marketdata.lake import default_lake
from marketdata.models import Instrument
from marketdata.selectors import bars, coverage
from risk.models import Correlation
from risk.portfolio import Holding, PortfolioRisk, correlation_matrix, daily_returns, measure
from risk.portfolio.report import FEWEST, LOOKBACK
from risk.portfolio.returns import Closes
from trading.services.risk_watch import AccountView, read_view

log = structlog.get_logger(__name__)
YEARS_BACK = timedelta(days=365 * 12)
"""How far the worst days on record are looked for."""
CALENDAR_DAYS = timedelta(days=LOOKBACK * 2)
MARKET = "SPY"
MOST_MARKET_NAMES = 30
MOST_NAMES = 60
"""Names whose correlations are measured: every pair of them is a row."""
SIX_PLACES = Decimal("0.000001")

Key = tuple[tuple[str, Decimal, str], ...]


def portfolio_risk(*, account: Account, wall_now: datetime, view: AccountView | None = None) -> PortfolioRisk:
    """Measure what the account holds now, by bars up to the session before.

    The answer for the same holdings is kept in this process until bars are written or the session changes.
    """
    view = read_view(account=account, wall_now=wall_now) if view is None else view
    values: dict[str, Decimal] = {}
    for line in view.lines:
        if line.quantity:
            values[line.symbol] = values.get(line.symbol, Decimal(0)) + line.value
    sectors = dict(Instrument.objects.filter(symbol__in=values).values_list("symbol", "sector"))
    # To the cent: a price that has moved by less is no other risk.
    key = tuple(
        (symbol, value.quantize(Decimal("0.01")), sectors.get(symbol, "")) for symbol, value in sorted(values.items())
    )
    return _measured(key, calendar.previous_session(view.trading_date), default_lake().generation())


@lru_cache(maxsize=32)
def _measured(key: Key, as_of: date, generation: str) -> PortfolioRisk:
    holdings = [Holding(symbol=symbol, value=value, sector=sector) for symbol, value, sector in key]
    held = closes_of((holding.symbol for holding in holdings), start=as_of - YEARS_BACK, as_of=as_of)
    name, symbols = market_names()
    market = closes_of(symbols, start=as_of - CALENDAR_DAYS, as_of=as_of)
    return measure(holdings, held, market=name, market_closes=market)


def market_names() -> tuple[str, list[str]]:
    """Return how the market is called and of which names it is the mean: an index fund, or all that the lake holds."""
    known = [str(symbol) for symbol in coverage().sort("bars", descending=True)["symbol"].to_list()]
    if MARKET in known:
        return MARKET, [MARKET]
    chosen = sorted(known[:MOST_MARKET_NAMES])
    return f"equally weighted mean of {len(chosen)} names", chosen


def closes_of(symbols: Iterable[str], *, start: date, as_of: date) -> Closes:
    """Return closes by name up to a session, adjusted for splits and dividends as known then."""
    wanted = sorted(set(symbols))
    if not wanted:
        return {}
    frame = bars(wanted, start=start, end=as_of, adjustment="total_return", as_of=as_of)
    found: dict[str, list[tuple[date, Decimal]]] = {}
    for symbol, day, close in frame.select("symbol", "date", pl.col("close").cast(pl.String)).iter_rows():
        if close is not None:
            found.setdefault(symbol, []).append((day, Decimal(close)))
    return found


def measure_correlations(*, account: Account, wall_now: datetime) -> int:
    """Measure how alike the names moved in the year before the session, once a session; returns how many pairs.

    Names: what is held, then the most traded, `MOST_NAMES` at most.
    """
    as_of = calendar.previous_session(calendar.trading_date(account.feed.market_now(wall_now)))
    if Correlation.objects.filter(as_of=as_of).exists():
        return 0
    closes = closes_of(_names_to_measure(account), start=as_of - CALENDAR_DAYS, as_of=as_of)
    enough = {symbol: rows for symbol, rows in closes.items() if len(rows) > FEWEST}
    rows: list[Correlation] = []
    names = sorted(enough)
    for position, name in enumerate(names):
        for other in names[position + 1 :]:
            table = daily_returns({name: enough[name], other: enough[other]}).last(LOOKBACK)
            if len(table.dates) < FEWEST:
                continue
            coefficient = correlation_matrix(table.of)[(name, other)]
            if coefficient is not None:
                rows.append(_row(name, other, coefficient, len(table.dates), as_of))
    Correlation.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["symbol", "other"],
        update_fields=["coefficient", "sessions", "as_of"],
    )
    log.info("correlations_measured", names=len(names), pairs=len(rows), as_of=str(as_of))
    return len(rows)


def _names_to_measure(account: Account) -> list[str]:
    held = Position.objects.filter(account=account).exclude(quantity=0).values_list("instrument__symbol", flat=True)
    busiest = Instrument.objects.filter(tradable=True, average_daily_volume__isnull=False)
    symbols = busiest.order_by("-average_daily_volume", "symbol").values_list("symbol", flat=True)[:MOST_NAMES]
    return list(dict.fromkeys([*held, *symbols]))[:MOST_NAMES]


def _row(name: str, other: str, coefficient: Decimal, sessions: int, as_of: date) -> Correlation:
    return Correlation(
        symbol=name, other=other, coefficient=coefficient.quantize(SIX_PLACES), sessions=sessions, as_of=as_of
    )
