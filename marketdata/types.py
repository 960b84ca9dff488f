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
