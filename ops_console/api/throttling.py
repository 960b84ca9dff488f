"""Bound the rate of requests of a caller and of an address, in this process's memory.

Nothing is asked of the database or of Redis, so the bound holds while they are away and costs microseconds. Each server
process counts for itself: N processes let N times the rate pass. The exact bound on orders is the gate's own
(`max_orders_per_minute`), under the account's lock.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from threading import Lock

from django.conf import settings

from ops_console.api.codes import ProblemCode
from ops_console.api.problems import Problem

MOST_KEYS = 10_000
MINUTE = 60
SECOND = 1_000_000_000  # in nanoseconds


class Rate(StrEnum):
    """What is counted: at most so many requests in any minute, all of them at once if wanted."""

    ORDERS = "orders"
    READS = "reads"
    CONTROLS = "controls"
    ADDRESS = "address"
    FAILED_KEYS = "failed_keys"

    @property
    def per_minute(self) -> int:
        """Requests a minute; `API_RATES` of the settings may say another number by name."""
        configured: dict[str, int] = getattr(settings, "API_RATES", {})
        return configured.get(self.value, DEFAULT_COUNTS[self])


DEFAULT_COUNTS = {
    Rate.ORDERS: 1_200,
    Rate.READS: 6_000,
    Rate.CONTROLS: 120,
    Rate.ADDRESS: 12_000,
    Rate.FAILED_KEYS: 60,
}


class RateLimiter:
    """Generic cell rate algorithm: one instant a key says when its allowance is whole again."""

    def __init__(self, *, clock: Callable[[], int] = time.monotonic_ns, most_keys: int = MOST_KEYS) -> None:
        self._clock = clock
        self._most_keys = most_keys
        self._whole_at: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lock = Lock()

    def wait(self, rate: Rate, key: str, *, spend: bool = True) -> int:
        """Return 0 and count the request, or the whole seconds to wait; `spend=False` only looks."""
        window = MINUTE * SECOND
        step = window // rate.per_minute
        now = self._clock()
        with self._lock:
            whole_at = max(self._whole_at.get((rate.value, key), now), now)
            excess = whole_at + step - now - window
            if excess > 0:
                return -(-excess // SECOND)
            if spend:
                self._remember((rate.value, key), whole_at + step)
            return 0

    def forget(self) -> None:
        """Drop every count."""
        with self._lock:
            self._whole_at.clear()

    def _remember(self, key: tuple[str, str], whole_at: int) -> None:
        self._whole_at[key] = whole_at
        self._whole_at.move_to_end(key)
        if len(self._whole_at) > self._most_keys:
            self._whole_at.popitem(last=False)


limiter = RateLimiter()


def spend(rate: Rate, key: str) -> None:
    """Count one request.

    :raises Problem: the allowance of the last minute is used up
    """
    seconds = limiter.wait(rate, key)
    if seconds:
        raise too_many(rate, seconds)


def require_allowance(rate: Rate, key: str) -> None:
    """Refuse when the allowance is used up, without counting this request."""
    seconds = limiter.wait(rate, key, spend=False)
    if seconds:
        raise too_many(rate, seconds)


def too_many(rate: Rate, seconds: int) -> Problem:
    """Return the problem that says when to come back."""
    return Problem(
        ProblemCode.THROTTLED,
        f"{rate.value}: at most {rate.per_minute} a minute; wait {seconds} s",
        retry_after=seconds,
    )
