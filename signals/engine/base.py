"""The port: the same work over many parts, the answers in the order of the parts."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from signals.progress import Progress, silent

Part = TypeVar("Part")
Answer = TypeVar("Answer")
Work = Callable[[Any, Part], Answer]
"""What is done: a function of a module, of the shared value and one part. Never a lambda: other processes import it."""
MOST_TRIES = 3
"""Times a part is begun whose worker dies; a part that kills each worker it meets must not kill them all."""


class EngineError(Exception):
    """The engine cannot do the work; the message says what to do."""


class EngineLost(EngineError):
    """Workers or scheduler went away while they worked, and what they had cannot be had again."""


class PartFailed(EngineError):
    """The work itself failed on a part, in another process; carries what it said there."""

    def __init__(self, part: int, of: int, kind: str, message: str, trace: str) -> None:
        super().__init__(f"part {part + 1} of {of} failed: {kind}: {message}")
        self.part = part
        self.kind = kind
        self.trace = trace


class Engine(Protocol):
    """Somewhere to work. Closed by the end of its `with` block; what was not begun by then is never begun."""

    name: str

    @property
    def workers(self) -> int:
        """Return how many parts can be done at once."""
        ...

    def map(
        self,
        work: Work[Part, Answer],
        parts: Sequence[Part],
        *,
        shared: Any = None,
        progress: Progress = silent,
        what: str = "working",
    ) -> list[Answer]:
        """Do `work(shared, part)` for each part, and return the answers in the order of the parts.

        `shared` is sent to each worker once. A worker that dies loses no part. `progress` is told of parts done, and
        may end everything by raising `Cancelled`.
        :raises PartFailed: the work failed on a part; where it is done in this very process, its own error
        :raises EngineLost: workers or scheduler are gone
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
