"""Count who wants live prices of what: an instrument is subscribed while anybody does."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from marketdata.errors import MarketDataError
from marketdata.models import Feed, Instrument, MarketSubscription
from marketdata.types import SubscriptionSource

MOST_MANUAL = 500
"""Instruments that may be subscribed by hand in one feed."""
PRIORITY = (
    SubscriptionSource.POSITION,
    SubscriptionSource.OPEN_ORDER,
    SubscriptionSource.MANUAL,
    SubscriptionSource.WATCH_LIST,
)
"""Who comes first where not all fit into the stream."""


class SubscriptionRefused(MarketDataError):
    """The instrument cannot be subscribed, or is not; the text names it and what is allowed."""


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """One subscribed instrument: who wants it, and since when (wall time)."""

    symbol: str
    sources: dict[str, int]
    since: datetime

    @property
    def references(self) -> int:
        """How many want it."""
        return sum(self.sources.values())


@transaction.atomic
def subscribe(*, feed: Feed, symbols: Collection[str], operator: str, wall_now: datetime) -> list[str]:
    """Ask for live prices by hand and return the symbols that were not asked for by hand before.

    Asking again changes nothing. Locks: the feed.
    :raises SubscriptionRefused: a symbol is not known, or too many are asked for
    """
    Feed.objects.select_for_update(of=("self",), no_key=True).get(pk=feed.pk)
    instruments = _known(symbols)
    held = _by_hand(feed).filter(instrument__symbol__in=symbols).values_list("instrument__symbol", flat=True)
    new = sorted(set(instruments) - set(held))
    count = _by_hand(feed).count() + len(new)
    if count > MOST_MANUAL:
        raise SubscriptionRefused(f"{count} instruments by hand are not allowed: {MOST_MANUAL} are")
    _add(feed, SubscriptionSource.MANUAL, "", [instruments[symbol] for symbol in new], wall_now, operator)
    return new


def unsubscribe(*, feed: Feed, symbol: str) -> SubscriptionView | None:
    """Take back what was asked for by hand; return who still wants the instrument, None when nobody does.

    :raises SubscriptionRefused: nobody asked for it by hand
    """
    deleted, _ = _by_hand(feed).filter(instrument__symbol=symbol).delete()
    if not deleted:
        raise SubscriptionRefused(f"{symbol} is not subscribed by hand")
    return next((view for view in subscriptions(feed) if view.symbol == symbol), None)


def hold(*, feed: Feed, source: SubscriptionSource, holder: str, symbols: Iterable[str], wall_now: datetime) -> bool:
    """Make the references of one holder exactly these; say whether anything changed. Symbols nobody knows are left out.

    Costs one query when nothing changed.
    """
    mine = MarketSubscription.objects.filter(feed=feed, source=source, holder=holder)
    wanted, held = set(symbols), dict(mine.values_list("instrument__symbol", "pk"))
    if wanted == set(held):
        return False
    gone = [pk for symbol, pk in held.items() if symbol not in wanted]
    new = list(Instrument.objects.filter(symbol__in=wanted - set(held)).order_by("pk"))
    with transaction.atomic():
        mine.filter(pk__in=gone).delete()
        _add(feed, source, holder, new, wall_now)
    return bool(gone or new)


def wanted_symbols(feed: Feed) -> list[str]:
    """Return the subscribed symbols, those of positions and open orders first: not all may fit into a stream."""
    rows = MarketSubscription.objects.filter(feed=feed).values_list("instrument__symbol", "source")
    rank: dict[str, int] = {}
    for symbol, source in rows:
        place = PRIORITY.index(SubscriptionSource(source))
        rank[symbol] = min(place, rank.get(symbol, place))
    return sorted(rank, key=lambda symbol: (rank[symbol], symbol))


def subscriptions(feed: Feed) -> list[SubscriptionView]:
    """Return every subscribed instrument by symbol, with who wants it. One query."""
    sources: dict[str, dict[str, int]] = defaultdict(dict)
    since: dict[str, datetime] = {}
    rows = MarketSubscription.objects.filter(feed=feed).order_by("instrument__symbol", "source")
    for symbol, source, at in rows.values_list("instrument__symbol", "source", "created_at"):
        sources[symbol][source] = sources[symbol].get(source, 0) + 1
        since[symbol] = min(at, since.get(symbol, at))
    return [SubscriptionView(symbol, dict(sources[symbol]), since[symbol]) for symbol in sources]


def _by_hand(feed: Feed) -> QuerySet[MarketSubscription]:
    return MarketSubscription.objects.filter(feed=feed, source=SubscriptionSource.MANUAL)


def _known(symbols: Collection[str]) -> dict[str, Instrument]:
    found = {instrument.symbol: instrument for instrument in Instrument.objects.filter(symbol__in=symbols)}
    unknown = sorted(set(symbols) - set(found))
    if unknown:
        raise SubscriptionRefused(f"{', '.join(unknown)}: no instrument of that symbol is known")
    return found


def _add(
    feed: Feed,
    source: SubscriptionSource,
    holder: str,
    instruments: Iterable[Instrument],
    wall_now: datetime,
    operator: str = "",
) -> None:
    rows = [
        MarketSubscription(
            feed=feed, instrument=instrument, source=source, holder=holder, operator=operator, created_at=wall_now
        )
        for instrument in instruments
    ]
    MarketSubscription.objects.bulk_create(rows, ignore_conflicts=True)
