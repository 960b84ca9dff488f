"""What can go wrong with facts about the world."""

from datetime import date, datetime

from marketdata.types import PriceUnavailable


class MarketDataError(Exception):
    """Base of every error of this app."""


class PriceUnavailableError(MarketDataError):
    """There is no price that may be used; there is no fallback."""

    def __init__(self, symbol: str, reason: PriceUnavailable, detail: str = "") -> None:
        self.symbol = symbol
        self.reason = reason
        self.detail = detail
        super().__init__(f"no price for {symbol}: {reason.value}{f' ({detail})' if detail else ''}")


class FeedMissingError(MarketDataError):
    """No feed of that name: nothing has been set up yet."""


class NotASessionError(MarketDataError):
    """The exchange is closed on that date."""

    def __init__(self, day: date) -> None:
        self.day = day
        super().__init__(f"{day} is not an NYSE session")


class OutsideCalendarError(MarketDataError):
    """The instant lies outside the years the calendar covers."""


class ClockRefusedError(MarketDataError):
    """The requested change would make market time jump backward, or does not fit the kind of feed."""


class FutureTimestampError(MarketDataError):
    """Data claims to come from later than now."""

    def __init__(self, symbol: str, at: datetime, now: datetime) -> None:
        self.symbol = symbol
        self.at = at
        super().__init__(f"{symbol} is stamped {at.isoformat()}, after {now.isoformat()}")


class FileFormatError(MarketDataError):
    """A file cannot be read as bars; the text names file, line, column, value, and what is allowed."""


class QuarantineDecisionError(MarketDataError):
    """A quarantined bar cannot be decided that way."""


class UnexplainedJumpError(MarketDataError):
    """The adjusted close jumps in a way neither a split nor a dividend explains."""


class LiveSourceError(MarketDataError):
    """A live source gave no answer that can be used; asking again later may help."""


class LiveSourceNotConfigured(MarketDataError):
    """Keys or addresses of a live source are missing; asking again does not help."""
