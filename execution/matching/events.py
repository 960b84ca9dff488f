"""What the market says: auctions, quotes and the end of a session.

Prices are account currency a share and positive, volumes are shares, times are aware UTC market time.
A volume of None means that it is not known, and then it limits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from risk.types import Side

# Nothing trades above it; the bound keeps every product within the columns that store it.
MAX_PRICE = Decimal(10_000_000)


@dataclass(frozen=True, slots=True)
class OpeningAuction:
    """The single price of the open; `at` is the session's opening time."""

    symbol: str
    price: Decimal
    volume: Decimal | None
    at: datetime

    def __post_init__(self) -> None:
        require_market(self.price, self.volume, self.at)

    @property
    def last_price(self) -> Decimal:
        """Price that stops are compared with."""
        return self.price

    def reference_price(self, side: Side) -> Decimal:
        """Price before slippage: one for both sides."""
        return self.price


@dataclass(frozen=True, slots=True)
class ClosingAuction:
    """The single price of the close; `at` is the session's closing time."""

    symbol: str
    price: Decimal
    volume: Decimal | None
    at: datetime

    def __post_init__(self) -> None:
        require_market(self.price, self.volume, self.at)

    @property
    def last_price(self) -> Decimal:
        """Price that stops are compared with."""
        return self.price

    def reference_price(self, side: Side) -> Decimal:
        """Price before slippage: one for both sides."""
        return self.price


@dataclass(frozen=True, slots=True)
class QuoteTick:
    """A quote with the last trade; `volume` is what traded since the tick before."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal
    volume: Decimal | None
    at: datetime

    def __post_init__(self) -> None:
        require_market(self.last, self.volume, self.at)
        for side in (self.bid, self.ask):
            if side is not None:
                require_market(side, None, self.at)

    @property
    def price(self) -> Decimal:
        """Last trade."""
        return self.last

    @property
    def last_price(self) -> Decimal:
        """Price that stops are compared with."""
        return self.last

    def reference_price(self, side: Side) -> Decimal:
        """Price before slippage: the ask for a buyer, the bid for a seller, the last trade where there is none."""
        quoted = self.ask if side == Side.BUY else self.bid
        return self.last if quoted is None else quoted


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """The session of `date` is over for everybody; what was good for it expires."""

    date: date
    at: datetime


PriceEvent = OpeningAuction | QuoteTick | ClosingAuction
MarketEvent = PriceEvent | SessionEnd


@dataclass(frozen=True, slots=True)
class SessionHours:
    """Hours of one session, as the caller's calendar knows them (early closes included).

    `auctions_enterable_at` is when the exchange begins to take auction orders for this session: 19:00 New York on the
    session day before.
    """

    date: date
    opens_at: datetime
    closes_at: datetime
    auctions_enterable_at: datetime

    def is_open(self, at: datetime) -> bool:
        """Tell whether continuous trading runs; the closing time itself belongs to the auction."""
        return self.opens_at <= at < self.closes_at


def require_market(price: Decimal, volume: Decimal | None, at: datetime) -> None:
    """Refuse numbers that no market can print.

    :raises ValueError: a price that is not positive, or absurd; a negative volume; a naive time
    """
    if not price.is_finite() or not 0 < price <= MAX_PRICE:
        raise ValueError(f"a market price must be above 0 and at most {MAX_PRICE}, got {price}")
    if volume is not None and (not volume.is_finite() or volume < 0):
        raise ValueError(f"a volume cannot be negative, got {volume}")
    if at.tzinfo is None:
        raise ValueError(f"a market time must be aware, got {at}")
