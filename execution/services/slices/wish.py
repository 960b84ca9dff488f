"""What somebody wants worked in slices, and whether two wishes are the same."""

import hashlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from execution.errors import OrderConflict, PlanRefused
from execution.identity import SEPARATOR, exact
from execution.models import ParentOrder
from execution.models.slicing import MOST_OFFSET_BPS
from execution.slicing.plan import MOST_SLICES
from execution.slicing.states import Algo
from risk.types import Origin, Side

DEFAULT_PARTICIPATION = Decimal("0.10")
DEFAULT_PART_MINUTES = 5
LONGEST_MINUTES = 390
PLACES = 4
"""Decimal places that participation and offset are stored with."""
COMPARED = (
    "side",
    "quantity",
    "algo",
    "duration_minutes",
    "wished_slices",
    "limit_price",
    "limit_offset_bps",
    "reduce_only",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentWish:
    """What somebody wants worked in slices; what is None is chosen here. Shares, account currency, minutes, bps."""

    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    algo: Algo
    duration_minutes: int
    slices: int | None = None
    max_participation: Decimal | None = None
    limit_price: Decimal | None = None
    limit_offset_bps: Decimal | None = None
    reduce_only: bool = False
    client_order_id: str = ""
    idempotency_key: str = ""
    origin: Origin = Origin.API
    source_ref: str = ""

    @property
    def wished_slices(self) -> int:
        """Return how many slices are wished for: one for five minutes when nobody says."""
        return self.slices or max(min(self.duration_minutes // DEFAULT_PART_MINUTES, MOST_SLICES), 1)

    @property
    def participation(self) -> Decimal:
        """Return the largest part of the expected volume."""
        return DEFAULT_PARTICIPATION if self.max_participation is None else self.max_participation

    @property
    def has_limit(self) -> bool:
        """Whether its slices are limit orders."""
        return self.limit_price is not None or self.limit_offset_bps is not None


def refuse_numbers(wish: ParentWish) -> None:
    """Refuse numbers that no plan can be made of.

    :raises PlanRefused: the first one that is out of range
    """
    if not 1 <= wish.duration_minutes <= LONGEST_MINUTES:
        raise PlanRefused("duration_minutes", f"{wish.duration_minutes}: from 1 to {LONGEST_MINUTES} is allowed")
    if not 1 <= wish.wished_slices <= MOST_SLICES:
        raise PlanRefused("slices", f"{wish.wished_slices}: from 1 to {MOST_SLICES} is allowed")
    if not wish.quantity.is_finite() or wish.quantity <= 0:
        raise PlanRefused("quantity", f"{wish.quantity}: a number above 0 is allowed")
    if not _fits(wish.participation) or not 0 < wish.participation <= 1:
        raise PlanRefused(
            "max_participation", f"{wish.participation}: above 0 and up to 1 with {PLACES} decimal places is allowed"
        )
    offset = wish.limit_offset_bps
    if offset is not None and (not _fits(offset) or not 0 <= offset <= MOST_OFFSET_BPS):
        raise PlanRefused(
            "limit_offset_bps", f"{offset}: from 0 to {MOST_OFFSET_BPS} with {PLACES} decimal places is allowed"
        )


def refuse_other(parent: ParentOrder, wish: ParentWish) -> None:
    """Refuse a wish that uses the id or key of another one.

    :raises OrderConflict: naming the first difference
    """
    pairs = [
        ("strategy", parent.strategy.name, wish.strategy),
        ("symbol", parent.instrument.symbol, wish.symbol),
        ("max_participation", exact(parent.max_participation), exact(wish.participation)),
        *((name, _plain(getattr(parent, name)), _plain(getattr(wish, name))) for name in COMPARED),
        ("client_order_id", parent.client_order_id, wish.client_order_id or parent.client_order_id),
    ]
    for name, stored, wanted in pairs:
        if stored != wanted:
            raise OrderConflict(
                f"{name}: this id or idempotency key was used for an order with {name} {stored!r}, now {wanted!r}"
            )


def intent_key(wish: ParentWish, day: date) -> str:
    """Return the SHA-256 of what is wanted on a trading date, whatever the attempt."""
    parts = [
        wish.strategy,
        wish.symbol,
        exact(wish.participation),
        day.isoformat(),
        *(_plain(getattr(wish, name)) for name in COMPARED),
    ]
    return hashlib.sha256(SEPARATOR.join(["parent", *parts]).encode()).hexdigest()


def _fits(value: Decimal) -> bool:
    """Tell whether it is stored as it is: rounded, it would be another wish when it comes again."""
    return value.is_finite() and value == round(value, PLACES)


def _plain(value: object) -> str:
    return exact(value) if isinstance(value, Decimal) else str(value)
