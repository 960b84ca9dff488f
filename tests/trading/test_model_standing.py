"""What the desk trades stands on a signed and approved model (control 22); a replay may use any."""

from typing import Any

import pytest

from execution.models import Account, Order, Strategy
from signals import registry
from signals.models import ModelVersion
from tests.factories import WALL_NOW
from tests.signals.registry.candidates import NOW, REASON, stored
from tests.trading.days import FIRST, SIZING, morning
from trading.models import Run
from trading.services import runs, steps
from trading.services.runs import run_strategy
from trading.states import StepName

pytestmark = pytest.mark.usefixtures("desk")
WHO = {"actor": "olga", "reason": REASON, "now": NOW}


@pytest.fixture(autouse=True)
def model_folder(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_APPROVALS = 1


def run_decided_with(version: ModelVersion, monkeypatch: pytest.MonkeyPatch, *, kind: str) -> Run:
    """Run momentum on a morning, as if the version had scored."""

    def scored(work: steps.Work) -> dict[str, Any]:
        return steps.make_signals(work) | {"models": {"alpha_baseline": version.pk}}

    monkeypatch.setitem(runs.STEPS, StepName.SIGNALS, scored)
    account = morning().account
    Account.objects.filter(pk=account.pk).update(kind=kind)
    account.refresh_from_db()
    strategy = Strategy.objects.get(name="momentum")
    return run_strategy(account=account, strategy=strategy, trading_date=FIRST, wall_now=WALL_NOW, sizing=SIZING)


def codes(run: Run) -> list[list[str]]:
    batch = run.steps.get(name=StepName.BATCH).output
    return [[denial["code"] for denial in order["denials"]] for order in batch["orders"]]


def test_orders_on_a_candidates_scores_are_denied_and_the_decision_says_why(monkeypatch):
    run = run_decided_with(stored(), monkeypatch, kind=Account.Kind.DESK)
    assert codes(run) == [["MODEL_UNAPPROVED"]] * 2
    order = Order.objects.filter(source_ref__contains=str(run.pk)).first() or Order.objects.first()
    assert order.status == "denied"
    assert "model alpha_baseline 1 is candidate (registered)" in order.error_message


def test_orders_on_the_active_model_pass(monkeypatch):
    version = stored()
    registry.activate(version.pk, **WHO)
    assert codes(run_decided_with(version, monkeypatch, kind=Account.Kind.DESK)) == [[], []]


def test_orders_on_a_model_that_was_rolled_back_meanwhile_are_denied(monkeypatch):
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    registry.activate(second.pk, **WHO)
    registry.rollback("alpha_baseline", **WHO)
    assert codes(run_decided_with(second, monkeypatch, kind=Account.Kind.DESK)) == [["MODEL_UNAPPROVED"]] * 2


def test_a_model_that_was_only_succeeded_keeps_its_word(monkeypatch):
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    registry.activate(second.pk, **WHO)
    assert codes(run_decided_with(first, monkeypatch, kind=Account.Kind.DESK)) == [[], []]


def test_a_replay_may_use_a_candidate(monkeypatch):
    assert codes(run_decided_with(stored(), monkeypatch, kind=Account.Kind.REPLAY)) == [[], []]
