"""Orders that are worked in slices: made, worked, paused, resumed, canceled."""

from execution.services.slices.creation import ParentResult, Preview, create_parent, preview_parent
from execution.services.slices.history import free_parents
from execution.services.slices.steering import cancel_parent, pause_parent, pause_parents, resume_parent
from execution.services.slices.wish import ParentWish
from execution.services.slices.working import work_parent, work_parents

__all__ = [
    "ParentResult",
    "ParentWish",
    "Preview",
    "cancel_parent",
    "create_parent",
    "free_parents",
    "pause_parent",
    "pause_parents",
    "preview_parent",
    "resume_parent",
    "work_parent",
    "work_parents",
]
