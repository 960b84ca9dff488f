"""Reads of parent orders: how far they have come, and which of them want to be looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, DecimalField, Exists, F, OuterRef, Q, QuerySet, Sum, Value, When

from execution.models import Order, ParentOrder, Slice
from execution.models.fields import DECIMAL_PLACES
from execution.slicing.states import PARENT_LIVE, ParentStatus, SliceStatus
from execution.states import OPEN, TERMINAL, OrderStatus

ZERO = Decimal(0)
WIDE = DecimalField[Any, Any](max_digits=38, decimal_places=DECIMAL_PLACES)
STOPPED = (ParentStatus.PAUSED, ParentStatus.CANCELING, ParentStatus.EXPIRING)


@dataclass(frozen=True, slots=True)
class Progress:
    """What the children of a parent have done, in shares; `imagined` would have been sent but for the dry run."""

    filled: Decimal = ZERO
    open: Decimal = ZERO
    imagined: Decimal = ZERO
    notional: Decimal = ZERO

    @property
    def used(self) -> Decimal:
        """Shares that no further slice may be for."""
        return self.filled + self.open + self.imagined

    @property
    def average_price(self) -> Decimal | None:
        """Average price of what has filled, account currency a share; None before the first fill."""
        return self.notional / self.filled if self.filled else None

    def left(self, quantity: Decimal) -> Decimal:
        """Return what of the parent's quantity is neither filled nor open."""
        return max(quantity - self.used, ZERO)


def progress_of(parent_ids: Iterable[int]) -> dict[int, Progress]:
    """Return the progress of every parent that has children. One query."""
    rows = (
        Order.objects.filter(parent_id__in=list(parent_ids))
        .values("parent_id")
        .annotate(
            filled=Sum("filled_quantity"),
            open=_sum_when(Q(status__in=sorted(OPEN)), F("quantity") - F("filled_quantity")),
            imagined=_sum_when(Q(status=OrderStatus.DRY_RUN), F("quantity")),
            notional=_sum_when(Q(filled_quantity__gt=0), F("filled_quantity") * F("average_fill_price")),
        )
        .order_by()
    )
    return {
        row["parent_id"]: Progress(row["filled"], row["open"] or ZERO, row["imagined"] or ZERO, row["notional"] or ZERO)
        for row in rows
    }


def progress(parent: ParentOrder) -> Progress:
    """Return the progress of one parent."""
    return progress_of([parent.pk]).get(parent.pk, Progress())


def parents_due(*, account_id: int, market_at: datetime, wall_now: datetime) -> QuerySet[ParentOrder]:
    """Return the account's parents that have something to be done: to send, to note, to cancel or to end."""
    mine = Slice.objects.filter(parent=OuterRef("pk"))
    to_send = mine.filter(status=SliceStatus.PLANNED, due_at__lte=market_at)
    left_behind = mine.filter(status=SliceStatus.CLAIMED, claimed_until__lte=wall_now)
    ended = mine.filter(status=SliceStatus.SENT, order__status__in=sorted(TERMINAL))
    working = Order.objects.filter(parent=OuterRef("pk"), status__in=sorted(OPEN))
    live = ParentOrder.objects.filter(account_id=account_id, status__in=sorted(PARENT_LIVE))
    return live.filter(
        Q(status__in=(ParentStatus.CANCELING, ParentStatus.EXPIRING))
        | Q(ends_at__lte=market_at)
        | Q(Exists(ended))
        | Q(Exists(left_behind))
        | Q(Exists(to_send), status=ParentStatus.ACTIVE)
        | Q(Exists(working), status=ParentStatus.PAUSED)
    ).order_by("pk")


def _sum_when(condition: Q, value: Any) -> Sum:
    return Sum(Case(When(condition, then=value), default=Value(ZERO), output_field=WIDE), output_field=WIDE)
