"""The worker's queue: rows in PostgreSQL, of which only those of one form are ever run."""

from typing import Any

import structlog
from django.core.signing import BadSignature
from django_q.brokers.orm import ORM
from django_q.signing import SignedPackage

log = structlog.get_logger(__name__)

ENTRANCE = "trading.tasks.perform"
"""The one callable that the worker runs; which of our tasks it stands for is its first argument."""
RUNS_OTHER_CALLABLES = ("hook", "chain", "iter_count")


class AllowListedQueue(ORM):  # type: ignore[misc]  # django-q2 has no types
    """The ORM broker of django-q2, which takes rows off the queue that name anything but our entrance.

    Its signature keeps strangers from making a row that runs; this keeps our own code, or whoever has learnt the key,
    from making one that runs something else.
    """

    def dequeue(self) -> list[tuple[int, str]]:
        """Return the next rows that may be run; the others are deleted and logged."""
        allowed = []
        for row_id, payload in super().dequeue() or ():
            refusal = refusal_of(payload)
            if refusal:
                log.error("queued_callable_refused", row=row_id, reason=refusal)
                self.fail(row_id)
            else:
                allowed.append((row_id, payload))
        return allowed


def refusal_of(payload: str) -> str:
    """Say why a row is not run; empty when it is."""
    try:
        task: dict[str, Any] = SignedPackage.loads(payload)
    except (BadSignature, TypeError) as error:
        return f"unreadable: {type(error).__name__}"
    if task.get("func") != ENTRANCE:
        return f"callable {task.get('func')!r} is not {ENTRANCE}"
    others = [name for name in RUNS_OTHER_CALLABLES if task.get(name)]
    return f"it has {', '.join(others)}" if others else ""
