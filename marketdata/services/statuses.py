"""Keep halts and price bands as the exchanges tell them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog
from django.db import transaction

from marketdata.models import Feed, Instrument, TradingStatus
from marketdata.types import BandNews, StatusNews, TradePrint

log = structlog.get_logger(__name__)
PRESUMED = "presumed"
"""Status code of an instrument that trades again although nobody said so."""


@transaction.atomic
def store_statuses(*, feed: Feed, news: Sequence[StatusNews | BandNews], source: str, wall_now: datetime) -> int:
    """Store what was said in the order of its time, and return how many rows changed; older news changes nothing.

    A status whose code says neither halt nor resumption keeps what was. Locks: the status rows, by instrument.
    """
    symbols = {each.symbol for each in news}
    rows = _locked_rows(feed, symbols, source)
    changed: set[str] = set()
    for each in sorted(news, key=lambda item: item.at):
        row = rows.get(each.symbol)
        if row is not None and (_say(row, each) if isinstance(each, StatusNews) else _bound(row, each)):
            changed.add(each.symbol)
    for symbol in changed:
        rows[symbol].source, rows[symbol].updated_at = source, wall_now
        rows[symbol].save()
    return len(changed)


@transaction.atomic
def presume_traded(
    *, feed: Feed, trades: Iterable[TradePrint], missed_since: datetime, wall_now: datetime
) -> list[str]:
    """Lift halts whose end may have been missed: the stream had a gap that ended after the halt, and it trades again.

    `missed_since` is the market time of the newest gap's end. Returns the symbols. Locks: the status rows.
    """
    newest: dict[str, datetime] = {}
    for trade in trades:
        newest[trade.symbol] = max(trade.at, newest.get(trade.symbol, trade.at))
    halted = TradingStatus.objects.select_for_update(of=("self",), no_key=True).filter(
        feed=feed, instrument__symbol__in=newest, halted=True, status_at__lt=missed_since
    )
    lifted = []
    for row in halted.select_related("instrument").order_by("instrument"):
        traded_at = newest[row.instrument.symbol]
        if row.status_at is None or traded_at <= max(row.status_at, missed_since):
            continue
        row.halted, row.status, row.status_at, row.updated_at = False, PRESUMED, traded_at, wall_now
        row.status_text, row.reason, row.reason_text = "trades again; its resumption was missed", "", ""
        row.save()
        lifted.append(row.instrument.symbol)
        log.warning("halt_presumed_over", symbol=row.instrument.symbol, feed=feed.name)
    return lifted


def halted_symbols(feed: Feed) -> list[str]:
    """Return what is halted now, by symbol."""
    rows = TradingStatus.objects.filter(feed=feed, halted=True)
    return list(rows.order_by("instrument__symbol").values_list("instrument__symbol", flat=True))


def _locked_rows(feed: Feed, symbols: Iterable[str], source: str) -> dict[str, TradingStatus]:
    instruments = Instrument.objects.filter(symbol__in=symbols).order_by("pk")
    missing = [TradingStatus(feed=feed, instrument=instrument, source=source) for instrument in instruments]
    TradingStatus.objects.bulk_create(missing, ignore_conflicts=True)
    rows = TradingStatus.objects.select_for_update(of=("self",), no_key=True).filter(
        feed=feed, instrument__in=[row.instrument for row in missing]
    )
    return {row.instrument.symbol: row for row in rows.select_related("instrument").order_by("instrument")}


def _say(row: TradingStatus, news: StatusNews) -> bool:
    if row.status_at is not None and news.at < row.status_at:
        return False
    before = row.halted
    row.halted = before if news.halted is None else news.halted
    row.status, row.status_text, row.status_at = news.status, news.status_text, news.at
    row.reason, row.reason_text, row.tape = news.reason, news.reason_text, news.tape
    if row.halted != before:
        word = "trading_halted" if row.halted else "trading_resumed"
        log.warning(word, symbol=news.symbol, code=news.status, reason=news.reason, at=news.at.isoformat())
    return True


def _bound(row: TradingStatus, news: BandNews) -> bool:
    if row.bands_at is not None and news.at < row.bands_at:
        return False
    row.limit_down, row.limit_up = news.limit_down, news.limit_up
    row.band_indicator, row.bands_at = news.indicator, news.at
    return True
