"""The words of market data: closed sets of values, and the small records that cross its border."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import models


class FeedKind(models.TextChoices):
    REAL = "real"
    REPLAY = "replay"
    MANUAL = "manual"


class FeedState(models.TextChoices):
    LIVE = "live"
    STALE = "stale"
    DOWN = "down"


class ActionKind(models.TextChoices):
    SPLIT = "split"
    DIVIDEND = "dividend"


class Timeframe(models.TextChoices):
    DAY = "1d"
    MINUTE = "1m"


class QualityRule(models.TextChoices):
    """Why a bar was kept out of the lake."""

    NOT_FINITE = "not_finite"
    NON_POSITIVE_PRICE = "non_positive_price"
    NON_POSITIVE_VOLUME = "non_positive_volume"
    OHLC_INCONSISTENT = "ohlc_inconsistent"
    DUPLICATE = "duplicate"
    NOT_A_SESSION = "not_a_session"
    FUTURE_DATE = "future_date"
    OUTLIER_RETURN = "outlier_return"


class QuarantineStatus(models.TextChoices):
    QUARANTINED = "quarantined"
    RELEASED = "released"
    REJECTED = "rejected"


class ImportState(models.TextChoices):
    """An import that stays `running` was interrupted; the same bars go on after its cursor."""

    RUNNING = "running"
    DONE = "done"


class PriceUnavailable(models.TextChoices):
    """Why there is no price to use."""

    NO_INSTRUMENT = "no_instrument"
    NO_QUOTE = "no_quote"
    STALE = "stale"
    FUTURE = "future"
    INVALID = "invalid"


class QuoteDrop(models.TextChoices):
    """Why a quote was not stored."""

    NOT_FINITE = "not_finite"
    NON_POSITIVE = "non_positive"
    TOO_LARGE = "too_large"
    CROSSED = "crossed"
    EMPTY = "empty"
    UNKNOWN_SYMBOL = "unknown_symbol"
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A price (account currency a share), when the market made it, and who said so."""

    price: Decimal
    at: datetime
    source: str
    stale: bool


@dataclass(frozen=True, slots=True)
class QuoteUpdate:
    """The whole view of one instrument at one market instant: a side that is None is absent, not unchanged."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    at: datetime
    source: str


class SubscriptionSource(models.TextChoices):
    """Why somebody wants live prices of an instrument."""

    MANUAL = "manual", "asked for by hand"
    POSITION = "position", "position"
    OPEN_ORDER = "open_order", "open order"
    WATCH_LIST = "watch_list", "watch list"


class GapReason(models.TextChoices):
    """Why the stream told nothing for a while."""

    NOT_CONNECTED = "not_connected", "not connected yet"
    DISCONNECTED = "disconnected", "connection lost"
    SILENT = "silent", "connected, and said nothing"
    REFUSED = "refused", "login refused"
    OCCUPIED = "occupied", "another connection holds the stream"
    SLOW = "slow", "we read too slowly"
    NOT_ENTITLED = "not_entitled", "the subscription does not contain it"


class TickLossReason(models.TextChoices):
    """Why received ticks were not kept."""

    BUFFER_FULL = "buffer_full", "more arrived than could be written"
    NOT_WRITTEN = "not_written", "the disk did not take them"


@dataclass(frozen=True, slots=True)
class TradePrint:
    """One trade: price (account currency a share) and its number at the source, empty where there is none."""

    symbol: str
    price: Decimal
    at: datetime
    number: str = ""


@dataclass(frozen=True, slots=True)
class TradeChange:
    """A trade of before was corrected to another price, or canceled (None)."""

    symbol: str
    number: str
    price: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True)
class BidAsk:
    """The best bid and ask; a side that is None is absent."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True)
class StatusNews:
    """The exchange said how an instrument trades; `halted` is None where the words say neither halt nor resumption."""

    symbol: str
    halted: bool | None
    status: str
    status_text: str
    reason: str
    reason_text: str
    tape: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BandNews:
    """The price band (limit up, limit down) of an instrument."""

    symbol: str
    limit_down: Decimal
    limit_up: Decimal
    indicator: str
    at: datetime


MarketEvent = TradePrint | TradeChange | BidAsk | StatusNews | BandNews
