"""The simulator sees: with a safeguard taken out, a few seeds are enough for the checker to find it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from execution.brokers.alpaca import crosscheck, line
from execution.brokers.alpaca.crosscheck import AlpacaReads
from execution.brokers.base import BrokerRejected
from execution.services import claims, halt
from execution.services.inbox import Message
from tests.simulator.simulation import Broken, Simulation

pytestmark = pytest.mark.django_db(transaction=True)
SEEDS = range(900_001, 900_031)
STEPS = 40
Patch = Callable[[pytest.MonkeyPatch], None]


def lost_answers_are_refusals(patch: pytest.MonkeyPatch) -> None:
    """Take an answer that was lost for a refusal."""
    patch.setattr(line, "no_answer", lambda *_, **__: BrokerRejected("no answer", code="no_answer"))


def executions_have_two_names(patch: pytest.MonkeyPatch) -> None:
    """Let REST name an execution otherwise than the stream does, so that each of the two tellers is believed."""
    plain = crosscheck.execution

    def named_otherwise(item: Any) -> Message | None:
        told = plain(item)
        if told is None:
            return None
        return replace(told, key=f"rest:{told.key}", broker_execution_id=f"rest-{told.broker_execution_id}")

    patch.setattr(crosscheck, "execution", named_otherwise)


def the_switch_is_only_a_row(patch: pytest.MonkeyPatch) -> None:
    """Cancel nothing when the switch is engaged, and do not look at it again before sending."""
    patch.setattr(halt, "cancel_open_orders", lambda **_: (0, 0, ()))
    patch.setattr(claims._Stops, "refusal", lambda *_: None)


def rest_tells_no_executions(patch: pytest.MonkeyPatch) -> None:
    """Believe that the stream tells everything."""

    def nothing(_reads: AlpacaReads, *, after: datetime) -> list[Message]:
        return []

    patch.setattr(AlpacaReads, "executions", nothing)


CONTROLS: list[tuple[Patch, set[str]]] = [
    (lost_answers_are_refusals, {"I1", "settled"}),
    (executions_have_two_names, {"I1", "I2", "settled"}),
    (the_switch_is_only_a_row, {"I4"}),
    (rest_tells_no_executions, {"I1", "I2", "I6", "settled"}),
]


@pytest.mark.parametrize(("mutation", "invariants"), CONTROLS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_safeguard_that_is_missing_is_found(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, mutation: Patch, invariants: set[str]
) -> None:
    mutation(monkeypatch)
    for seed in SEEDS:
        found = invariant_found(seed, loop)
        if found:
            assert found in invariants
            return
    raise AssertionError(f"nothing was found in {len(SEEDS)} seeds")


def invariant_found(seed: int, loop: asyncio.AbstractEventLoop) -> str:
    """Return the first invariant that a seed shows broken, empty when it shows none."""
    try:
        Simulation(seed, loop).run(STEPS)
    except Broken as found:
        return str(found).splitlines()[1].split(" ", 1)[0]
    return ""
