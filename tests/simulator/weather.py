"""What may go wrong at the broker, drawn from a seed."""

from __future__ import annotations

from random import Random
from typing import Any

from execution.emulator.faults import Fault, FaultKind

K = FaultKind
ANSWERS = (
    *(K.ACCEPT_THEN_TIMEOUT, K.ACCEPT_THEN_DROP, K.ACCEPT_THEN_504, K.ACCEPT_THEN_500, K.ACCEPT_THEN_HTML),
    *(K.ACCEPT_THEN_TORN, K.REFUSE_500, K.REFUSE_503, K.REFUSE_HTML, K.REFUSE_DROP, K.UNAUTHORIZED, K.RATE_LIMITED),
    K.UNKNOWN_STATUS,
)
METHODS = ("POST", "POST", "POST", "PATCH", "DELETE", "GET", None)
ORDERS = (
    *(K.FILL_BEFORE_ANSWER, K.REJECT_LATER, K.HIDE_ORDER, K.STUCK_PENDING_CANCEL, K.FILL_WHILE_CANCELING, K.LATE_FILL),
    *(K.CANCEL_REJECTED, K.FILL_WHILE_REPLACING, K.REPLACE_THEN_ERROR, K.STUCK_PENDING_REPLACE),
    *(K.LATE_FILL_ON_REPLACED, K.ZERO_AVERAGE_PRICE),
)
READS = (K.POSITIONS_LAG, K.POSITIONS_FAIL, K.ACTIVITIES_LAG, K.ACTIVITIES_SHUFFLED)
PARAMETERS: dict[FaultKind, tuple[dict[str, Any], ...]] = {
    K.RATE_LIMITED: ({"seconds": "1"}, {"seconds": "7"}),
    K.UNKNOWN_STATUS: ({"status": "on_holiday"},),
    K.HIDE_ORDER: ({"seconds": "1"}, {"seconds": "8"}),
    K.STUCK_PENDING_CANCEL: ({"seconds": "5"}, {"seconds": "40"}),
    K.STUCK_PENDING_REPLACE: ({"seconds": "5"}, {"seconds": "40"}),
    K.FILL_WHILE_CANCELING: ({"quantity": "1"}, {}),
    K.FILL_WHILE_REPLACING: ({"quantity": "1"}, {}),
    K.LATE_FILL: ({"quantity": "1"}, {"quantity": "1", "seconds": "20"}),
    K.LATE_FILL_ON_REPLACED: ({"quantity": "1"}, {"quantity": "1", "seconds": "20"}),
    K.POSITIONS_LAG: ({"seconds": "10"},),
    K.ACTIVITIES_LAG: ({"seconds": "5"}, {"seconds": "60"}),
}


def draw(chance: Random) -> Fault:
    """Draw something that goes wrong once or a few times."""
    kinds, match = chance.choice([(ANSWERS, True), (ANSWERS, True), (ORDERS, False), (ORDERS, False), (READS, False)])
    kind = chance.choice(kinds)
    method = chance.choice(METHODS) if match else None
    return Fault(
        kind=kind,
        match={} if method is None else {"method": method},
        times=chance.choice([1, 1, 2, 4]),
        parameters=chance.choice(PARAMETERS.get(kind, ({},))),
    )
