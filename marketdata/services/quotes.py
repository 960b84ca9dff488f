"""Store what the market says now."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction

from marketdata.models import Feed, Quote
from marketdata.models.feeds import MAX_PRICE
from marketdata.signals import quotes_changed
from marketdata.types import QuoteDrop, QuoteUpdate

# One statement whatever the number of quotes. Rows are taken in the order of their ids, so that two writers cannot
# deadlock; a quote older than the stored one changes nothing, and an equal one is not rewritten.
_UPSERT = """
WITH incoming AS (
    SELECT * FROM unnest(%s::text[], %s::numeric[], %s::numeric[], %s::numeric[], %s::timestamptz[], %s::text[])
        AS quote(symbol, bid, ask, last, at, source)
), known AS (
    SELECT instrument.id AS instrument_id, incoming.*
    FROM incoming JOIN marketdata_instrument AS instrument USING (symbol)
), stored AS (
    INSERT INTO marketdata_quote AS quote (feed_id, instrument_id, bid, ask, last, at, source, updated_at)
    SELECT %s, instrument_id, bid, ask, last, at, source, %s FROM known ORDER BY instrument_id
    ON CONFLICT (feed_id, instrument_id) DO UPDATE
        SET bid = excluded.bid, ask = excluded.ask, last = excluded.last,
            at = excluded.at, source = excluded.source, updated_at = excluded.updated_at
        WHERE excluded.at > quote.at
            OR (excluded.at = quote.at AND (excluded.bid, excluded.ask, excluded.last, excluded.source)
                IS DISTINCT FROM (quote.bid, quote.ask, quote.last, quote.source))
    RETURNING instrument_id
)
SELECT incoming.symbol, known.instrument_id, stored.instrument_id IS NOT NULL, known.at < quote.at
FROM incoming
LEFT JOIN known USING (symbol)
LEFT JOIN stored ON stored.instrument_id = known.instrument_id
LEFT JOIN marketdata_quote AS quote ON quote.feed_id = %s AND quote.instrument_id = known.instrument_id
"""


@dataclass(frozen=True, slots=True)
class QuoteStoreReport:
    """What became of a batch: how many rows changed, and why others were dropped."""

    stored: int
    dropped: Counter[QuoteDrop] = field(default_factory=Counter)


def store_quotes(*, feed: Feed, quotes: Sequence[QuoteUpdate], wall_now: datetime) -> QuoteStoreReport:
    """Make these the latest quotes of the feed, in one statement, and tell `quotes_changed` after the commit.

    Quotes that cannot be true (not finite, not positive, crossed, empty) or are older than the stored one are dropped
    and counted. Locks: the quote rows, in the order of their instruments.
    """
    dropped: Counter[QuoteDrop] = Counter()
    latest = _latest_usable(quotes, dropped)
    if not latest:
        return QuoteStoreReport(0, dropped)
    changed = _upsert(feed, list(latest.values()), wall_now, dropped)
    if changed:
        news = partial(quotes_changed.send, sender=Quote, feed_id=feed.pk, instrument_ids=changed)
        transaction.on_commit(news)
    return QuoteStoreReport(len(changed), dropped)


def quote_problem(quote: QuoteUpdate) -> QuoteDrop | None:
    """Say why a quote cannot be true, or None."""
    prices = [price for price in (quote.bid, quote.ask, quote.last) if price is not None]
    if not prices:
        return QuoteDrop.EMPTY
    if not all(price.is_finite() for price in prices):
        return QuoteDrop.NOT_FINITE
    if min(prices) <= 0:
        return QuoteDrop.NON_POSITIVE
    if max(prices) >= MAX_PRICE:
        return QuoteDrop.TOO_LARGE
    if quote.bid is not None and quote.ask is not None and quote.bid > quote.ask:
        return QuoteDrop.CROSSED
    return None


def _latest_usable(quotes: Iterable[QuoteUpdate], dropped: Counter[QuoteDrop]) -> dict[str, QuoteUpdate]:
    latest: dict[str, QuoteUpdate] = {}
    for quote in quotes:
        problem = quote_problem(quote)
        if problem is not None:
            dropped[problem] += 1
        elif quote.symbol in latest and latest[quote.symbol].at > quote.at:
            dropped[QuoteDrop.OUT_OF_ORDER] += 1
        else:
            latest[quote.symbol] = quote
    return latest


def _upsert(feed: Feed, quotes: Sequence[QuoteUpdate], wall_now: datetime, dropped: Counter[QuoteDrop]) -> list[int]:
    """Run the statement, count what it dropped, and return the instruments whose quote changed."""
    columns: list[list[Any]] = [
        [quote.symbol for quote in quotes],
        [quote.bid for quote in quotes],
        [quote.ask for quote in quotes],
        [quote.last for quote in quotes],
        [quote.at for quote in quotes],
        [quote.source for quote in quotes],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [*columns, feed.pk, wall_now, feed.pk])
        rows = cursor.fetchall()
    dropped[QuoteDrop.UNKNOWN_SYMBOL] += sum(instrument_id is None for _, instrument_id, _, _ in rows)
    dropped[QuoteDrop.OUT_OF_ORDER] += sum(bool(older) and not stored for _, _, stored, older in rows)
    return [instrument_id for _, instrument_id, stored, _ in rows if stored]
