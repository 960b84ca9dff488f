"""Claims and fences: who was believed dead writes nothing any more, and without the fence it does."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pytest
from django.db import transaction

from execution.halting import procedure as halts
from execution.models import (
    HaltProcedure,
    Order,
    ParentEvent,
    Slice,
)
from execution.services.slices import sending, working
from tests.execution.slicing.desk import SlicingDesk, next_due
from tests.factories import WALL_NOW, allow_bursts, make_account, make_strategy
from tests.faults.lock_cases import (
    MINUTE,
    a_halt,
)
from tests.risk.threads import together
from tests.trading.days import parameters
from trading.errors import LeaseLostError
from trading.models import Run
from trading.services import replay, runs
from trading.states import RunState

pytestmark = pytest.mark.django_db(transaction=True)


def claimed_by_two() -> bool:
    """Ask for the same replay while somebody works on it; tell whether both were given the same one."""
    wanted = parameters(date(2012, 1, 3), date(2012, 1, 5))
    replay._create(wanted, replay.parameter_hash(wanted), WALL_NOW)

    def second() -> int:
        with replay._claimed(wanted, WALL_NOW, fresh=False) as mine:
            return int(mine.pk)

    with replay._claimed(wanted, WALL_NOW, fresh=False) as row:
        return together(second) == [row.pk]


def test_a_replay_that_somebody_works_on_is_not_taken() -> None:
    assert not claimed_by_two()


def test_control_without_the_claim_two_work_on_one_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_try_lock", lambda _row: True)
    assert claimed_by_two()


# Fences: who was believed dead writes nothing any more


def late_sender(monkeypatch: pytest.MonkeyPatch) -> tuple[bool, int]:
    """Let a sender lose its slice to another while it sends; return whether it recorded, and how often it was."""
    slicing = SlicingDesk()
    allow_bursts()
    parent = slicing.parent()
    due = next_due(parent)
    assert due is not None
    slicing.go(due)
    late = working.look_at(parent.pk, wall_now=slicing.wall)
    Slice.objects.filter(pk=late.claimed).update(claim=uuid.uuid4())
    assert late.claimed is not None
    assert late.claim is not None
    recorded = sending.send_slice(slice_id=late.claimed, claim=late.claim, wall_now=slicing.wall)
    return recorded, ParentEvent.objects.filter(step="sent").count()


def test_who_has_lost_its_slice_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert late_sender(monkeypatch) == (False, 0)


def test_control_without_the_fence_of_the_claim_it_records(monkeypatch: pytest.MonkeyPatch) -> None:
    def release(row: Slice, _claim: uuid.UUID, status: Any, reason: str, order: Order | None) -> bool:
        fields = {"status": status, "reason": reason, "order": order, "claim": None, "claimed_until": None}
        return bool(Slice.objects.filter(pk=row.pk).update(**fields))

    monkeypatch.setattr(sending, "_release", release)
    assert late_sender(monkeypatch) == (True, 1)


def late_step() -> str:
    """Let somebody write the outcome of a step after another has ended the halt; return what stands."""
    halt = a_halt(make_account())
    with transaction.atomic():
        halts.end_running(account=halt.account, scope="global", wall_now=WALL_NOW)
    halts._write(halt, state="verified")
    return str(HaltProcedure.objects.get().state)


def test_who_has_lost_a_halt_writes_nothing_of_its_step() -> None:
    assert late_step() == "superseded"


def test_control_without_the_fence_a_released_halt_is_called_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(procedure: HaltProcedure, **fields: object) -> None:
        HaltProcedure.objects.filter(pk=procedure.pk).update(**fields)

    monkeypatch.setattr(halts, "_write", write)
    assert late_step() == "verified"


def late_worker() -> str:
    """Let a worker fail a run that another has taken over since; return what it is told, and where the run stands."""
    account = make_account()
    days = {"as_of_date": date(2012, 6, 13), "trading_date": date(2012, 6, 14), "sizing": {}}
    held = {"state": "running", "claim": uuid.uuid4(), "claimed_until": WALL_NOW + MINUTE}
    run = Run.objects.create(account=account, strategy=make_strategy(), created_at=WALL_NOW, **days, **held)
    try:
        runs._release(run, uuid.uuid4(), RunState.FAILED, WALL_NOW, reason="it was slow")
    except LeaseLostError:
        return f"lost, {Run.objects.get().state}"
    return str(Run.objects.get().state)


def test_who_has_lost_a_run_does_not_end_it() -> None:
    assert late_worker() == "lost, running"


def test_control_without_the_fence_of_the_lease_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def update(run: Run, _fence: uuid.UUID, **fields: Any) -> None:
        Run.objects.filter(pk=run.pk).update(**fields)

    monkeypatch.setattr(runs, "_update_fenced", update)
    assert late_worker() == "failed"
