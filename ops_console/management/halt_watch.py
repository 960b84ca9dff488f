"""Watch a halt from the command line until it is over, and carry it out here when the dispatcher is dead."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from execution.halting.residue import keeps_open, left
from execution.models import HaltProcedure, HaltResidue
from execution.models.halting import ProcedureState
from marketdata.clock import wall_now

LOOK_EVERY = 0.25
GOOD_ENDS = (ProcedureState.VERIFIED, ProcedureState.ACCEPTED)
Say = Callable[[str], None]


def watch(
    procedure_id: int,
    *,
    seconds: int,
    say: Say,
    work: Callable[[], None] | None = None,
    now: Callable[[], datetime] = wall_now,
) -> HaltProcedure:
    """Follow a halt for at most so many wall seconds, telling each change once; `work` moves it on meanwhile."""
    until, told = now() + timedelta(seconds=seconds), ""
    while True:
        if work is not None:
            work()
        procedure = HaltProcedure.objects.select_related("account").get(pk=procedure_id)
        said = progress(procedure)
        if said != told:
            say(said)
            told = said
        if procedure.is_over or procedure.state == ProcedureState.RESIDUE or now() >= until:
            return procedure
        time.sleep(LOOK_EVERY)


def progress(procedure: HaltProcedure) -> str:
    """Say in one line where a halt stands."""
    rest = len(keeps_open(procedure)) if not procedure.is_over else 0
    parts = [f"halt {procedure.pk} {procedure.scope}: {procedure.get_state_display()}"]
    if procedure.state == ProcedureState.CANCELING and procedure.empties:
        parts.append(f"{procedure.empties} of 2 looks found nothing")
    if rest:
        parts.append(f"{rest} left")
    if procedure.problem:
        parts.append(procedure.problem)
    return ", ".join(parts)


def described(row: HaltResidue) -> str:
    """Say in one line what is left and why."""
    accepted = f" [accepted by {row.accepted_by}]" if row.accepted_at else ""
    detail = f": {row.detail}" if row.detail else ""
    return f"{row.kind} {row.name} {row.quantity.normalize():f}: {row.get_why_display()}{detail}{accepted}"


def as_dict(procedure: HaltProcedure) -> dict[str, Any]:
    """Return a halt and what it has left, for programs."""
    return {
        "id": procedure.pk,
        "account": procedure.account.name,
        "scope": procedure.scope,
        "level": procedure.level,
        "state": procedure.state,
        "asked_at": procedure.asked_at,
        "finished_at": procedure.finished_at,
        "problem": procedure.problem,
        "residue": [
            {
                "kind": row.kind,
                "name": row.name,
                "quantity": row.quantity,
                "why": row.why,
                "detail": row.detail,
                "accepted_by": row.accepted_by,
            }
            for row in left(procedure)
        ],
    }
