"""How often the broker has refused a strategy's orders in a name lately: a loop of refused orders must not hammer it.

An order that reduces a position passes every limit on pace, so that an exit is always possible. One that the broker
refuses again and again is held up here. Kept in the memory of the process that sends; a new process begins anew.
"""

from collections import deque
from datetime import datetime, timedelta

from execution.models import Order

MOST = 5
WITHIN = timedelta(minutes=1)

Line = tuple[int, int, int]
_refused: dict[Line, deque[datetime]] = {}


def note_refusal(order: Order, wall_now: datetime) -> None:
    """Remember that the broker has rejected the order."""
    _refused.setdefault(_line(order), deque(maxlen=MOST)).append(wall_now)


def refused_too_often(order: Order, wall_now: datetime) -> bool:
    """Tell whether the broker has rejected so many orders of this account, strategy and name within a minute."""
    times = _refused.get(_line(order))
    if times is None:
        return False
    while times and wall_now - times[0] >= WITHIN:
        times.popleft()
    if not times:
        del _refused[_line(order)]
    return len(times) >= MOST


def _line(order: Order) -> Line:
    return order.account_id, order.strategy_id, order.instrument_id
