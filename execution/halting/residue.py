"""What a halt has not got rid of: noted while it is found, gone when it is not, and accepted by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from execution.errors import NothingLeft
from execution.models import HaltProcedure, HaltResidue
from execution.models.halting import RUNNING
from risk.services.reasons import require_reason

Kind, Why = HaltResidue.Kind, HaltResidue.Why
LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that a look at the broker has found; shares, a short position is negative."""

    kind: str
    name: str
    symbol: str
    quantity: Decimal
    why: str
    strategy: str = ""
    detail: str = ""


def note(procedure: HaltProcedure, found: Iterable[Found], *, kind: str, wall_now: datetime) -> None:
    """Keep what was found of one kind, and mark as gone what was not found any more."""
    names = []
    for each in found:
        names.append(each.name)
        HaltResidue.objects.update_or_create(
            procedure=procedure,
            kind=kind,
            name=each.name,
            defaults={
                "symbol": each.symbol,
                "strategy": each.strategy,
                "quantity": each.quantity,
                "why": each.why,
                "detail": each.detail[:LONGEST_DETAIL],
                "seen_at": wall_now,
                "gone_at": None,
            },
            create_defaults={
                "symbol": each.symbol,
                "strategy": each.strategy,
                "quantity": each.quantity,
                "why": each.why,
                "detail": each.detail[:LONGEST_DETAIL],
                "found_at": wall_now,
                "seen_at": wall_now,
            },
        )
    gone = HaltResidue.objects.filter(procedure=procedure, kind=kind, gone_at__isnull=True).exclude(name__in=names)
    gone.update(gone_at=wall_now)


def left(procedure: HaltProcedure) -> list[HaltResidue]:
    """Return what is still there, accepted or not."""
    return list(procedure.residue.filter(gone_at__isnull=True))


def keeps_open(procedure: HaltProcedure) -> list[HaltResidue]:
    """Return what keeps the halt from being over: still there, and nobody has accepted it.

    Strangers' orders were not asked to go unless everything was; a position that is not ours counts.
    """
    rows = [row for row in left(procedure) if row.accepted_at is None]
    if procedure.everything:
        return rows
    return [row for row in rows if (row.kind, row.why) != (Kind.ORDER, Why.STRANGER)]


@transaction.atomic
def accept(*, procedure_id: int, name: str, operator: str, reason: str, wall_now: datetime) -> HaltResidue:
    """Note that a person takes one thing that is left as it is, by its name and with a reason. Locks: the row.

    :raises NothingLeft: nothing of that name is left
    :raises InvalidReason: 10 to 500 characters are needed
    """
    text = require_reason(reason)
    rows = HaltResidue.objects.select_for_update(no_key=True).filter(
        procedure_id=procedure_id, procedure__state__in=RUNNING, name=name, gone_at__isnull=True
    )
    row = rows.first()
    if row is None:
        raise NothingLeft(f"halt {procedure_id}: nothing is left of the name {name[:80]!r}")
    if row.accepted_at is None:
        row.accepted_by, row.accepted_reason, row.accepted_at = operator, text, wall_now
        row.save(update_fields=["accepted_by", "accepted_reason", "accepted_at"])
    return row
