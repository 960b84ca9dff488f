"""Reads: prices, quotes, bars, corporate actions."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

import polars as pl
from django.conf import settings

from marketdata.adjustment import ACTION_SCHEMA, AdjustmentMode, adjust
from marketdata.calendar import sessions_between, trading_seconds_between
from marketdata.clock import wall_now
from marketdata.errors import FeedMissingError, PriceUnavailableError
from marketdata.lake import KEY_COLUMN, default_lake
from marketdata.models import CorporateAction, Feed, Instrument, Quote
from marketdata.types import PricePoint, PriceUnavailable, Timeframe

CLOCK_TOLERANCE_SECONDS = 5
"""A quote may be stamped this much later than our clock: two machines' clocks differ."""


def default_feed() -> Feed:
    """Return the desk's feed.

    :raises FeedMissingError: nothing has been set up yet
    """
    try:
        return Feed.objects.get(name=settings.DESK_FEED)
    except Feed.DoesNotExist:
        raise FeedMissingError(f"there is no feed {settings.DESK_FEED!r}: start the platform once") from None


def latest_price(
    symbol: str,
    *,
    feed: Feed | None = None,
    now: datetime | None = None,
    max_age_seconds: int | None = None,
    allow_stale: bool = False,
) -> PricePoint:
    """Return the last price of a symbol in a feed (the mid where there was no trade).

    `now` is market time (default: the feed's own). Age is counted in trading seconds; the limit defaults to
    `DATA_FRESHNESS_MINUTES`. With `allow_stale`, for display only, an old price comes back marked as stale.
    :raises PriceUnavailableError: unknown symbol, no quote, stale, from the future, or not a price
    """
    feed = feed or default_feed()
    now = now or feed.market_now(wall_now())
    return _price_point(_quote(symbol, feed), symbol, now, max_age_seconds, allow_stale)


def latest_prices(
    symbols: Sequence[str],
    *,
    feed: Feed,
    now: datetime,
    max_age_seconds: int | None = None,
    allow_stale: bool = False,
) -> tuple[dict[str, PricePoint], dict[str, PriceUnavailableError]]:
    """Return the prices of many symbols in one query, and apart from them why the others have none."""
    quotes = Quote.objects.filter(feed=feed, instrument__symbol__in=symbols).select_related("instrument")
    found = {quote.instrument.symbol: quote for quote in quotes}
    prices: dict[str, PricePoint] = {}
    missing: dict[str, PriceUnavailableError] = {}
    for symbol in symbols:
        try:
            if symbol not in found:
                raise PriceUnavailableError(symbol, PriceUnavailable.NO_QUOTE)
            prices[symbol] = _price_point(found[symbol], symbol, now, max_age_seconds, allow_stale)
        except PriceUnavailableError as error:
            missing[symbol] = error
    return prices, missing


def mid_price(
    symbol: str, *, feed: Feed | None = None, now: datetime | None = None, max_age_seconds: int | None = None
) -> PricePoint:
    """Return the middle of bid and ask, only where both are there and not crossed.

    :raises PriceUnavailableError: as `latest_price`, or a side is absent
    """
    feed = feed or default_feed()
    now = now or feed.market_now(wall_now())
    quote = _quote(symbol, feed)
    if quote.bid is None or quote.ask is None or quote.bid > quote.ask:
        raise PriceUnavailableError(symbol, PriceUnavailable.INVALID, "no two-sided quote")
    _check_age(quote, symbol, now, max_age_seconds, allow_stale=False)
    return PricePoint((quote.bid + quote.ask) / 2, quote.at, quote.source, stale=False)


def bars(
    symbols: Iterable[str],
    *,
    start: date | None = None,
    end: date | None = None,
    adjustment: AdjustmentMode = "raw",
    as_of: date | None = None,
) -> pl.DataFrame:
    """Return daily bars sorted by symbol and date, `start` and `end` included, as known at `as_of` (None: now).

    Bars after `as_of` are left out and actions after it are not applied. Released bars are in, quarantined ones are
    not.
    """
    wanted = list(symbols)
    last = min((day for day in (end, as_of) if day is not None), default=None)
    frame = default_lake().scan(Timeframe.DAY, symbols=wanted, start=start, end=last).collect()
    if adjustment == "raw":
        return frame
    return adjust(frame, corporate_actions_frame(wanted), mode=adjustment, as_of=as_of)


def corporate_actions_frame(symbols: Iterable[str] | None = None) -> pl.DataFrame:
    """Return splits and dividends, columns of `ACTION_SCHEMA` (float64, for research), sorted by symbol and date."""
    actions = CorporateAction.objects.all()
    if symbols is not None:
        actions = actions.filter(instrument__symbol__in=list(symbols))
    rows = actions.order_by("instrument__symbol", "ex_date", "kind").values_list(
        "instrument__symbol", "kind", "ex_date", "ratio", "cash_amount"
    )
    floats = [
        (symbol, kind, ex_date, None if ratio is None else float(ratio), None if cash is None else float(cash))
        for symbol, kind, ex_date, ratio, cash in rows
    ]
    return pl.DataFrame(floats, schema=ACTION_SCHEMA, orient="row")


def coverage(timeframe: str = Timeframe.DAY) -> pl.DataFrame:
    """Return symbol, first, last and bars of what the lake holds, by symbol."""
    key = pl.col(KEY_COLUMN[Timeframe(timeframe)])
    grouped = default_lake().scan(timeframe).group_by("symbol")
    return grouped.agg(first=key.min(), last=key.max(), bars=pl.len()).sort("symbol").collect()


def missing_sessions(symbol: str) -> list[date]:
    """Return the sessions between a symbol's first and last daily bar that have none."""
    days = default_lake().scan(Timeframe.DAY, symbols=[symbol]).select("date").collect()["date"]
    have = set(days)
    return [day for day in sessions_between(min(have), max(have)) if day not in have] if have else []


def _quote(symbol: str, feed: Feed) -> Quote:
    try:
        return Quote.objects.get(feed=feed, instrument__symbol=symbol)
    except Quote.DoesNotExist:
        known = Instrument.objects.filter(symbol=symbol).exists()
        reason = PriceUnavailable.NO_QUOTE if known else PriceUnavailable.NO_INSTRUMENT
        raise PriceUnavailableError(symbol, reason) from None


def _price_point(
    quote: Quote, symbol: str, now: datetime, max_age_seconds: int | None, allow_stale: bool
) -> PricePoint:
    price = quote.last
    if price is None and quote.bid is not None and quote.ask is not None and quote.bid <= quote.ask:
        price = (quote.bid + quote.ask) / 2
    if price is None:
        raise PriceUnavailableError(symbol, PriceUnavailable.NO_QUOTE, "neither a trade nor two sides")
    if not price.is_finite() or price <= 0:
        raise PriceUnavailableError(symbol, PriceUnavailable.INVALID, str(price))
    stale = _check_age(quote, symbol, now, max_age_seconds, allow_stale=allow_stale)
    return PricePoint(price, quote.at, quote.source, stale)


def _check_age(quote: Quote, symbol: str, now: datetime, max_age_seconds: int | None, *, allow_stale: bool) -> bool:
    """Say whether the quote is too old; raise where that is not allowed, and for a quote of the future always."""
    if (quote.at - now).total_seconds() > CLOCK_TOLERANCE_SECONDS:
        raise PriceUnavailableError(symbol, PriceUnavailable.FUTURE, f"stamped {quote.at.isoformat()}")
    limit = settings.DATA_FRESHNESS_MINUTES * 60 if max_age_seconds is None else max_age_seconds
    age = trading_seconds_between(quote.at, now)
    if age > limit and not allow_stale:
        raise PriceUnavailableError(symbol, PriceUnavailable.STALE, f"{age} trading seconds old, {limit} allowed")
    return age > limit
