"""Signs of life of the platform's processes."""

from datetime import datetime
from typing import Any

from trading.models import Heartbeat


def beat(*, name: str, wall_now: datetime, detail: dict[str, Any] | None = None) -> None:
    """Record that the process of this name works, in one statement."""
    row = Heartbeat(name=name, at=wall_now, detail=detail or {})
    Heartbeat.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=["at", "detail"])
