"""Orders whose answers get lost are there exactly once, however many: by the broker's own log, through storm and crash.

Ten of each kind where every change is looked at; `make soak N=200` for the proof. Another seed is another storm.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime

import pytest

from execution.brokers.alpaca import AlpacaBroker, line
from execution.brokers.base import BrokerOrder, BrokerOutcomeUnknown, BrokerRejected, OrderRequest
from execution.emulator.faults import FaultKind
from execution.models import Account, RefusedReport
from marketdata.clock import wall_now
from tests.execution.updates.line_cases import Desk, until
from tests.faults.reckoning import LOST, fills, reckon, seconds_to_resolve
from tests.faults.storm import Storm, number_from

pytestmark = pytest.mark.django_db(transaction=True)
MOST = 100_000
RESOLVED_WITHIN = 30
"""Seconds of the wall."""
KINDS = [
    FaultKind.ACCEPT_THEN_TIMEOUT,
    FaultKind.ACCEPT_THEN_504,
    FaultKind.ACCEPT_THEN_DROP,
    FaultKind.ACCEPT_THEN_HTML,
]


@pytest.mark.parametrize("kind", KINDS)
def test_no_order_is_lost_and_none_doubled(
    desk: Desk, kind: FaultKind, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    # A pace that a test need not wait for: so long a missing order proves nothing.
    monkeypatch.setattr(AlpacaBroker, "not_found_grace_seconds", 1)
    began = wall_now()
    count = number_from("SOAK_N", 10, most=MOST)
    seed = number_from("SOAK_SEED", 7, most=MOST)
    storm = Storm(desk, kind=kind, count=count, seed=seed)
    is_settled = False
    try:
        with desk.listening():
            until(lambda: desk.link().stream == "live")
            storm.restart()
            with closing(storm.broker.line):
                storm.blow()
                storm.calm_down()
        is_settled = True
    finally:
        outcome = reckon(desk, kind, crashes=storm.crashes)
        failures = outcome.failures or int(not is_settled)
        seconds = (wall_now() - began).total_seconds()
        took = seconds_to_resolve(desk)
        known = (
            f"known after median {took[len(took) // 2]:.1f} max {took[-1]:.1f} s of the wall" if took else "none known"
        )
        more = f"{outcome.wanted} orders, {outcome.crashes} crashes, {outcome.sent_again} refused as known, seed {seed}"
        proof = {"name": kind.value, "n": outcome.lost_answers, "failures": failures, "seconds": seconds}
        record_property("proof", proof | {"more": f"{known}; {more}"})
    assert outcome.failures == 0, outcome
    assert outcome.lost_answers == count, outcome
    assert len(took) == count
    assert took[-1] <= RESOLVED_WITHIN
    ours, theirs = fills(desk)
    assert ours == theirs
    account = Account.objects.get(pk=desk.account.pk)
    moved = desk.emulator.call(desk.emulator.log.cash_moved)
    assert account.cash - account.starting_cash == moved
    assert not RefusedReport.objects.exists()


def test_control_a_lost_answer_that_is_taken_for_a_refusal_is_seen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "no_answer", lambda *_, **__: BrokerRejected("no answer", code="no_answer"))
    storm = Storm(desk, kind=FaultKind.ACCEPT_THEN_DROP, count=3, seed=7)
    with closing(storm.broker.line):
        storm.want([f"{LOST}{number}" for number in range(3)])
        storm.send_all()
    outcome = reckon(desk, storm.kind)
    assert outcome.strangers == [f"{LOST}{number}" for number in range(3)]
    assert (outcome.failures, outcome.lost_answers) == (3, 3)


def test_control_an_order_that_is_sent_again_under_another_name_is_seen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = Storm(desk, kind=FaultKind.ACCEPT_THEN_DROP, count=3, seed=7)
    plain = AlpacaBroker.submit

    def again(broker: AlpacaBroker, request: OrderRequest, *, at: datetime) -> BrokerOrder:
        try:
            return plain(broker, request, at=at)
        except BrokerOutcomeUnknown:
            return plain(broker, replace(request, client_order_id=f"{request.client_order_id}-again"), at=at)

    monkeypatch.setattr(AlpacaBroker, "submit", again)
    with closing(storm.broker.line):
        storm.want([f"{LOST}{number}" for number in range(3)])
        storm.send_all()
    assert reckon(desk, storm.kind).failures >= 3
