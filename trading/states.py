"""The lives of a run and of a replay, as data."""

from django.db.models import TextChoices


class RunState(TextChoices):
    """Where a run stands; `awaiting_fills` has sent its orders and waits for the session's close."""

    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    AWAITING_FILLS = "awaiting_fills", "awaiting fills"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"
    SKIPPED = "skipped", "skipped"


class StepState(TextChoices):
    """How a step ended; a step that never ended has no row."""

    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"


class StepName(TextChoices):
    """The steps of a run, in their order."""

    FRESHNESS = "freshness", "freshness"
    SIGNALS = "signals", "signals"
    TARGETS = "targets", "targets"
    INTENTS = "intents", "intents"
    BATCH = "batch", "batch"
    FILLS = "fills", "fills"
    REPORT = "report", "report"


class ReplayState(TextChoices):
    """Where a replay stands; a killed one stays `running` and is resumed."""

    RUNNING = "running", "running"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"


class Stage(TextChoices):
    """Parts of a replayed day, each of which may be done again without doing anything twice."""

    PRE_OPEN = "pre_open", "before the open"
    RUNS = "runs", "runs"
    OPEN = "open", "opening auction"
    CLOSE = "close", "closing auction"
    BOOKS = "books", "closing of the books"


BEFORE_FILLS: tuple[StepName, ...] = (
    StepName.FRESHNESS,
    StepName.SIGNALS,
    StepName.TARGETS,
    StepName.INTENTS,
    StepName.BATCH,
)
AFTER_CLOSE: tuple[StepName, ...] = (StepName.FILLS, StepName.REPORT)

RUN_OVER: frozenset[RunState] = frozenset({RunState.COMPLETED, RunState.SKIPPED})
"""Nothing is left to do; a failed run may be started again."""


class JobState(TextChoices):
    """Where a long piece of work stands."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"
    CANCELED = "canceled", "canceled"


JOB_OVER: frozenset[JobState] = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED})
JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, *JOB_OVER}),
    **{over: frozenset() for over in JOB_OVER},
}
"""What may follow what; a trigger on the table keeps it. From running back to queued: its process or machine died."""
