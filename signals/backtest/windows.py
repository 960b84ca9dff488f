"""Windows of a walk forward: train, validate, test, and gaps between them, all counted in trading days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from signals.errors import BacktestInputError

LEAST_TEST = 10
"""Sessions of a test window; the label of its last ones reaches out of it, and fewer would be judged on nothing."""


@dataclass(frozen=True, slots=True)
class Window:
    """One refit: sessions to learn from, to stop by, and to be judged on. Each list ascends; `valid` may be empty."""

    number: int
    train: Sequence[date]
    valid: Sequence[date]
    test: Sequence[date]


@dataclass(frozen=True, slots=True)
class Plan:
    """Lengths in sessions.

    `embargo` sessions are left out between train and valid and before test: a label looks that far ahead, so the
    last rows before a gap would know what comes behind it (López de Prado 2018, chapter 7). `expanding` keeps the
    first session for ever; otherwise the window rolls. Test windows follow one another without a gap or an overlap.
    """

    train: int = 504
    valid: int = 126
    test: int = 63
    embargo: int = 5
    expanding: bool = False

    def __post_init__(self) -> None:
        """Refuse lengths that give no window.

        :raises BacktestInputError: a length below what it needs
        """
        for name, least in (("train", 1), ("valid", 0), ("test", 1), ("embargo", 0)):
            value = getattr(self, name)
            if value < least:
                raise BacktestInputError(name, value, f"a number of sessions from {least}")

    @property
    def before_test(self) -> int:
        """Return the sessions that the first test window needs before it."""
        gaps = self.embargo * (2 if self.valid else 1)
        return self.train + self.valid + gaps


def windows(sessions: Sequence[date], plan: Plan) -> list[Window]:
    """Cut ascending sessions into windows; what is left at the end, too short to be judged alone, joins the last one.

    :raises BacktestInputError: there is not even one session to test
    """
    needed = plan.before_test + 1
    if len(sessions) < needed:
        raise BacktestInputError(
            "sessions", len(sessions), f"at least {needed}: train + valid + embargo and one to test"
        )
    starts = list(range(plan.before_test, len(sessions), plan.test))
    if len(starts) > 1 and len(sessions) - starts[-1] < min(LEAST_TEST, plan.test):
        starts.pop()
    ends = [*starts[1:], len(sessions)]
    found = []
    for number, (at, end) in enumerate(zip(starts, ends, strict=True), start=1):
        valid_end = at - plan.embargo
        valid_start = valid_end - plan.valid
        train_end = valid_start - (plan.embargo if plan.valid else 0)
        train_start = 0 if plan.expanding else train_end - plan.train
        found.append(
            Window(
                number,
                sessions[train_start:train_end],
                sessions[valid_start:valid_end],
                sessions[at:end],
            )
        )
    return found
