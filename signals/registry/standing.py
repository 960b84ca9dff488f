"""May orders stand on a version's scores: signed, approved, and not taken back since."""

from signals.models import ModelVersion
from signals.states import ModelAct, ModelStatus


def standing(version_id: int) -> str:
    """Return why orders that came from a version's scores may not add risk; empty when they may.

    A version that was only succeeded by another keeps its word: what a run has decided with it is carried out.
    """
    version = ModelVersion.objects.defer("golden", "importance").filter(pk=version_id).first()
    if version is None:
        return f"model {version_id} is not registered"
    if not version.signature:
        return f"model {version} is not signed"
    if version.status == ModelStatus.ACTIVE:
        return ""
    newest = version.events.order_by("-id").first()
    if version.status == ModelStatus.RETIRED and newest is not None and newest.act == ModelAct.SUPERSEDED:
        return ""
    told = newest.get_act_display() if newest is not None else "never approved"
    return f"model {version} is {version.status} ({told})"
