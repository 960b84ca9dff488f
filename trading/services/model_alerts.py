"""Tell people when a process could not load the active model, and when it can again."""

from datetime import datetime

from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity

CODE = "model_reload_failed"


def tell_failed_load(
    *, strategy: str, version_id: int, kept_id: int | None, reason: str, process: str, now: datetime
) -> None:
    """Raise the alert of one strategy in one kind of process; told again it counts on."""
    kept = f"goes on with model {kept_id}" if kept_id else "has no model to go on with: its runs are skipped"
    raise_alert(
        code=CODE,
        subject=subject_of(strategy, process),
        severity=AlertSeverity.WARNING if kept_id else AlertSeverity.CRITICAL,
        message=f"{strategy}: {process} could not load model {version_id} and {kept}: {reason}",
        detail={"version_id": version_id, "kept_id": kept_id, "reason": reason, "process": process},
        now=now,
    )


def tell_good_load(*, strategy: str, process: str, now: datetime) -> None:
    """Say that it is over in this kind of process."""
    resolve_alert(code=CODE, subject=subject_of(strategy, process), now=now)


def subject_of(strategy: str, process: str) -> str:
    """Return what the alert is about: a file may be missing on one machine only, or unreadable to one process."""
    return f"strategy:{strategy} process:{process}"
