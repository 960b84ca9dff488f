"""What goes wrong, and when: a list of faults, from a file, from the control endpoint or from a test.

A fault waits for its moment (`kind`), for the request or order that it is meant for (`match`), lets `after` of them
pass, happens `times` times (None: for ever), each time with `probability` (drawn from the venue's seed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from threading import Lock
from typing import Any


class FaultKind(StrEnum):
    """Every fault that the emulator knows; the comment names the `parameters` that it reads."""

    # Requests (matched by method, path, client_order_id, symbol)
    ACCEPT_THEN_TIMEOUT = "accept_then_timeout"  # seconds: the request takes effect, the answer comes too late
    ACCEPT_THEN_DROP = "accept_then_drop"  # takes effect, the connection is cut before an answer
    ACCEPT_THEN_504 = "accept_then_504"
    ACCEPT_THEN_500 = "accept_then_500"
    ACCEPT_THEN_HTML = "accept_then_html"  # status (200): takes effect, a proxy's page is the answer
    ACCEPT_THEN_TORN = "accept_then_torn"  # takes effect, half of the answer's body and a cut connection
    REFUSE_500 = "refuse_500"  # nothing takes effect
    REFUSE_503 = "refuse_503"
    REFUSE_HTML = "refuse_html"  # status (502)
    REFUSE_DROP = "refuse_drop"  # the connection is cut before anything happens
    RATE_LIMITED = "rate_limited"  # seconds: until X-RateLimit-Reset
    UNAUTHORIZED = "unauthorized"
    SLOW = "slow"  # seconds: a late, otherwise normal answer
    UNKNOWN_STATUS = "unknown_status"  # status: the order's status in the answer is a word nobody knows

    # Orders (matched by client_order_id, symbol)
    FILL_BEFORE_ANSWER = "fill_before_answer"  # the stream tells the fill before POST answers
    REJECT_LATER = "reject_later"  # accepted, then rejected
    SAME_EXECUTION_ID = "same_execution_id"  # the execution has the id of the newest one of another order
    OVERFILL = "overfill"  # quantity: so many shares more than were ordered
    HIDE_ORDER = "hide_order"  # seconds: not found by id or client id for so long
    STUCK_PENDING_CANCEL = "stuck_pending_cancel"  # seconds: the cancel stays pending so long (None: for ever)
    FILL_WHILE_CANCELING = "fill_while_canceling"  # quantity (all): filled before the cancel is done
    LATE_FILL = "late_fill"  # quantity, seconds (0): a fill so long after the order was canceled
    CANCEL_REJECTED = "cancel_rejected"  # the cancel is refused later, the order lives on
    FILL_WHILE_REPLACING = (
        "fill_while_replacing"  # quantity (all): PATCH answers 200, the original fills, the new order is rejected
    )
    REPLACE_THEN_ERROR = "replace_then_error"  # replaced, and PATCH answers 500
    STUCK_PENDING_REPLACE = "stuck_pending_replace"  # seconds
    LATE_FILL_ON_REPLACED = "late_fill_on_replaced"  # quantity, seconds (0): the original fills after it was replaced
    ZERO_AVERAGE_PRICE = "zero_average_price"  # filled_avg_price is 0 in answers while there are fills
    LEGS_DO_NOT_CANCEL = "legs_do_not_cancel"  # an item of DELETE /v2/orders answers 500

    # Events of the trade_updates stream (matched by event, client_order_id, symbol)
    DUPLICATE_EVENT = "duplicate_event"
    DROP_EVENT = "drop_event"
    REORDER_EVENT = "reorder_event"  # held back until the next event has gone out
    DELAY_EVENT = "delay_event"  # seconds
    UNKNOWN_STATUS_EVENT = "unknown_status_event"  # status
    TEAR_EVENT = "tear_event"  # half a frame, then the connection is cut
    MALFORMED_EVENT = "malformed_event"  # no JSON

    # The streams as such (they work at once, without waiting for a match)
    MUTE_STREAM = "mute_stream"  # seconds (None: for ever): connected, and nothing is sent
    DISCONNECT_STREAM = "disconnect_stream"
    REFUSE_STREAM = "refuse_stream"  # seconds: connections are refused
    REFUSE_STREAM_LOGIN = "refuse_stream_login"  # authorization is answered unauthorized

    # Reads
    POSITIONS_LAG = "positions_lag"  # seconds: positions are of the past
    POSITIONS_FAIL = "positions_fail"  # status (500)
    ACTIVITIES_LAG = "activities_lag"  # seconds: fills show up in the activities that much later
    ACTIVITIES_SHUFFLED = "activities_shuffled"  # equal milliseconds come in any order
    CLOCK_SKEW = "clock_skew"  # seconds: added to the clock's timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of the plan."""

    kind: FaultKind
    match: Mapping[str, str] = field(default_factory=dict)
    after: int = 0
    times: int | None = 1
    probability: Decimal = Decimal(1)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def meets(self, facts: Mapping[str, str]) -> bool:
        """Tell whether the fault is meant for something with these facts.

        `client_order_id` matches as a prefix, and a `path` may hold `*` for ids: /v2/orders/*.
        """
        return all(_fits(name, wanted, facts.get(name, "")) for name, wanted in self.match.items())

    def seconds(self, default: Decimal | None = None) -> Decimal | None:
        """Return the parameter `seconds`."""
        given = self.parameters.get("seconds")
        return default if given is None else Decimal(str(given))

    def quantity(self) -> Decimal | None:
        """Return the parameter `quantity` (shares)."""
        given = self.parameters.get("quantity")
        return None if given is None else Decimal(str(given))


def _fits(name: str, wanted: str, given: str) -> bool:
    if name == "client_order_id":
        return given.startswith(wanted)
    return fnmatchcase(given, wanted) if name == "path" else given == wanted


MATCHABLE = frozenset({"method", "path", "client_order_id", "symbol", "event"})
FIELDS = frozenset({"kind", "match", "after", "times", "probability", "parameters"})


class FaultError(ValueError):
    """A fault that cannot be read; the message names the field, the value and what is allowed."""


def read_fault(given: Mapping[str, Any]) -> Fault:
    """Read one fault from JSON.

    :raises FaultError: an unknown field or kind, or a number out of range
    """
    unknown = set(given) - FIELDS
    if unknown:
        raise FaultError(f"{', '.join(sorted(unknown))}: unknown; allowed: {', '.join(sorted(FIELDS))}")
    try:
        kind = FaultKind(given.get("kind", ""))
    except ValueError:
        raise FaultError(f"kind: {given.get('kind')!r}; allowed: {', '.join(sorted(FaultKind))}") from None
    match = dict(given.get("match") or {})
    if not set(match) <= MATCHABLE:
        raise FaultError(f"match: {', '.join(sorted(match))}; allowed: {', '.join(sorted(MATCHABLE))}")
    after, times, probability = given.get("after", 0), given.get("times", 1), given.get("probability", 1)
    if not isinstance(after, int) or after < 0:
        raise FaultError(f"after: {after!r}; allowed: a whole number from 0 up")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise FaultError(f"times: {times!r}; allowed: a whole number from 1 up, or null for ever")
    if isinstance(probability, bool) or not 0 < Decimal(str(probability)) <= 1:
        raise FaultError(f"probability: {probability!r}; allowed: above 0, at most 1")
    return Fault(
        kind=kind,
        match={name: str(value) for name, value in match.items()},
        after=after,
        times=times,
        probability=Decimal(str(probability)),
        parameters=dict(given.get("parameters") or {}),
    )


class FaultPlan:
    """Faults that are still to happen; the first one that matches happens. Threads may share it."""

    def __init__(self, *, seed: int = 7) -> None:
        self._chance = Random(seed)
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault) -> None:
        """Add a fault behind the others."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Let everything be well from now on."""
        with self._lock:
            self._faults.clear()

    def waiting(self) -> list[Fault]:
        """Return what is still to happen."""
        with self._lock:
            return list(self._faults)

    def take(self, *kinds: FaultKind, **facts: str) -> Fault | None:
        """Return the fault that happens now to something with these facts, and count it down; None when all is well."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.kind in kinds and fault.meets(facts) and self._is_due(index, fault):
                    self._count_down(index, fault)
                    return fault
        return None

    def _is_due(self, index: int, fault: Fault) -> bool:
        """Tell whether a fault that matches happens this time."""
        if fault.after:
            self._faults[index] = replace(fault, after=fault.after - 1)
            return False
        return fault.probability >= 1 or Decimal(self._chance.randrange(10**9)) / 10**9 < fault.probability

    def _count_down(self, index: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times == 1:
            del self._faults[index]
        else:
            self._faults[index] = replace(fault, times=fault.times - 1)
