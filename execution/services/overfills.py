"""Tell of a parent order of which more has filled than was wanted: a fact that is kept, and that people have to know.

It takes a broker that fills an order after it has said that the order is over. While the parent works, each look at it
tells; afterwards nobody looks any more, and the late fill itself has to.
"""

from collections.abc import Sequence
from datetime import datetime

from execution.models import OrderEvent, ParentOrder
from execution.parent_orders import progress
from execution.states import OPEN
from risk.services.alerts import raise_alert
from risk.states import AlertSeverity

OVERFILLED = "parent_overfilled"


def tell_late_fills(events: Sequence[OrderEvent], *, wall_now: datetime) -> None:
    """Look at the parents of orders that have filled after their end. In the transaction that books the fills."""
    late = {event.order.parent_id for event in events if event.order.parent_id and event.from_status not in OPEN}
    if not late:
        return
    for parent in ParentOrder.objects.select_related("account").filter(pk__in=late).order_by("pk"):
        tell_overfill(parent, wall_now=wall_now)


def tell_overfill(parent: ParentOrder, *, wall_now: datetime) -> None:
    """Raise the alert when more of the parent has filled than it was for. Locks: the alert."""
    filled = progress(parent).filled
    if filled <= parent.quantity:
        return
    raise_alert(
        code=OVERFILLED,
        subject=f"{parent.account.scope} order:{parent.client_order_id}",
        severity=AlertSeverity.CRITICAL,
        message=f"{filled.normalize():f} shares have filled of an order for {parent.quantity.normalize():f}",
        now=wall_now,
    )
