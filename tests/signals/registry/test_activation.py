"""One version of a strategy is active, each step has a person and a reason, and two at once leave one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction

from signals import registry
from signals.models import ModelApproval, ModelEvent, ModelVersion
from signals.registry import activation, versions
from signals.registry.artefacts import path_of
from signals.states import MODEL_TRANSITIONS, ModelAct, ModelStatus
from tests.signals.registry.candidates import NOW, REASON, stored

WHO = {"actor": "olga", "reason": REASON, "now": NOW}


def status_of(version: ModelVersion) -> str:
    return ModelVersion.objects.values_list("status", flat=True).get(pk=version.pk)


@pytest.mark.django_db
def test_activating_retires_the_one_before_and_writes_who_and_why():
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    registry.activate(second.pk, **WHO)
    assert (status_of(first), status_of(second)) == ("retired", "active")
    told = [(event.act, event.from_status, event.to_status, event.operator) for event in first.events.order_by("id")]
    assert told == [
        ("registered", "", "candidate", "maker"),
        ("activated", "candidate", "active", "olga"),
        ("superseded", "active", "retired", "olga"),
    ]
    assert first.events.first().reason == REASON


@pytest.mark.django_db
def test_strategies_do_not_know_of_each_other():
    first, second = stored("alpha_baseline"), stored("ensemble")
    registry.activate(first.pk, **WHO)
    registry.activate(second.pk, **WHO)
    assert (status_of(first), status_of(second)) == ("active", "active")


@pytest.mark.django_db
@pytest.mark.parametrize("reason", ["", "too short", " " * 40, "x" * 501])
def test_a_reason_is_needed(reason):
    version = stored()
    with pytest.raises(registry.ModelReasonError, match="10 to 500 are needed"):
        registry.activate(version.pk, actor="olga", reason=reason, now=NOW)
    assert status_of(version) == "candidate"


@pytest.mark.django_db
def test_an_unknown_version_is_told():
    with pytest.raises(registry.UnknownModelError, match="there is no model 4711"):
        registry.activate(4711, **WHO)


@pytest.mark.django_db
@pytest.mark.parametrize("before", list(ModelStatus))
@pytest.mark.parametrize("after", list(ModelStatus))
def test_the_database_knows_the_same_steps_as_the_table(before, after):
    version = stored()
    step = {"act": ModelAct.ACTIVATED, "from_status": before, "to_status": after}
    event = ModelEvent(version=version, operator="olga", reason=REASON, at=NOW, **step)
    if after in MODEL_TRANSITIONS[before]:
        event.save()
        return
    with pytest.raises(IntegrityError, match="modelevent_transition_allowed"), transaction.atomic():
        event.save()


@pytest.mark.django_db
def test_steps_that_lead_nowhere_are_refused_with_what_is_allowed():
    version = stored()
    registry.activate(version.pk, **WHO)
    with pytest.raises(registry.ModelStepError, match="is active: allowed next are retired; got active"):
        registry.activate(version.pk, **WHO)
    with pytest.raises(registry.ModelStepError, match="got shadow"):
        registry.shadow(version.pk, **WHO)
    registry.retire(version.pk, **WHO)
    with pytest.raises(registry.ModelStepError, match="is retired: allowed next are active, shadow; got retired"):
        registry.retire(version.pk, **WHO)


@pytest.mark.django_db
def test_a_shadow_may_become_active():
    version = stored()
    registry.shadow(version.pk, **WHO)
    assert status_of(version) == "shadow"
    registry.activate(version.pk, **WHO)
    assert status_of(version) == "active"


@pytest.mark.django_db
def test_rolling_back_returns_to_the_version_before_and_passes_over_what_was_rolled_back():
    first, second, third = stored(seed=1), stored(seed=2), stored(seed=3)
    for version in (first, second, third):
        registry.activate(version.pk, **WHO)
    assert registry.rollback("alpha_baseline", **WHO).pk == second.pk
    assert registry.rollback("alpha_baseline", **WHO).pk == first.pk
    assert [status_of(version) for version in (first, second, third)] == ["active", "retired", "retired"]
    with pytest.raises(registry.NoActiveModelError, match="no other version was active before 1"):
        registry.rollback("alpha_baseline", **WHO)
    assert third.events.first().act == ModelAct.ROLLED_BACK


@pytest.mark.django_db
def test_rolling_back_keeps_the_active_one_when_the_earlier_file_is_gone():
    first, second = stored(seed=1), stored(seed=2)
    for version in (first, second):
        registry.activate(version.pk, **WHO)
    path_of(first).unlink()
    with pytest.raises(registry.ArtefactError, match="is missing"):
        registry.rollback("alpha_baseline", **WHO)
    assert status_of(second) == "active"


@pytest.mark.django_db
def test_nothing_active_is_told():
    stored()
    with pytest.raises(registry.NoActiveModelError, match="has no active model that could be rolled back"):
        registry.rollback("alpha_baseline", **WHO)


@pytest.mark.django_db
def test_two_people_are_needed_where_it_is_set(settings):
    settings.MODEL_APPROVALS = 2
    version = stored()
    for second in ("", "olga"):
        with pytest.raises(registry.ApprovalRequiredError, match="needs two different people: got 'olga' alone"):
            registry.activate(version.pk, second=second, **WHO)
    asked = registry.request_activation(version.pk, **WHO)
    assert registry.request_activation(version.pk, actor="ivan", reason=REASON, now=NOW) == asked
    with pytest.raises(registry.ApprovalRequiredError, match="was made by olga: another person has to approve it"):
        registry.approve_activation(asked.pk, actor="olga", now=NOW)
    assert status_of(version) == "candidate"
    registry.approve_activation(asked.pk, actor="rita", now=NOW)
    assert status_of(version) == "active"
    event = version.events.first()
    assert (event.operator, event.second_operator, event.reason) == ("olga", "rita", REASON)
    with pytest.raises(registry.ApprovalNotPendingError, match="is approved already"):
        registry.approve_activation(asked.pk, actor="rita", now=NOW)


@pytest.mark.django_db
def test_a_request_is_over_after_a_day_and_can_be_turned_down():
    version = stored()
    asked = registry.request_activation(version.pk, **WHO)
    late = NOW + timedelta(hours=24)
    with pytest.raises(registry.ApprovalNotPendingError, match="its time was over"):
        registry.approve_activation(asked.pk, actor="rita", now=late)
    again = registry.request_activation(version.pk, actor="olga", reason=REASON, now=late)
    assert again != asked
    registry.reject_activation(again.pk, actor="rita", now=late)
    with pytest.raises(registry.ApprovalNotPendingError, match="is rejected already"):
        registry.approve_activation(again.pk, actor="rita", now=late)
    with pytest.raises(registry.ApprovalNotPendingError, match="there is no request 4711"):
        registry.reject_activation(4711, actor="rita", now=late)
    assert status_of(version) == "candidate"


@pytest.mark.django_db
def test_the_database_refuses_one_person_twice():
    asked = registry.request_activation(stored().pk, **WHO)
    with pytest.raises(IntegrityError, match="modelapproval_needs_two"), transaction.atomic():
        ModelApproval.objects.filter(pk=asked.pk).update(state="approved", decided_by="olga", decided_at=NOW)
    with pytest.raises(IntegrityError, match="modelevent_two_people"), transaction.atomic():
        ModelEvent.objects.create(
            version=asked.version, act="activated", from_status="candidate", to_status="active", operator="olga",
            second_operator="olga", reason=REASON, at=NOW,
        )  # fmt: skip


@pytest.mark.django_db
def test_what_a_run_may_stand_on():
    first, second, third = stored(seed=1), stored(seed=2), stored(seed=3)
    assert registry.standing(first.pk) == "model alpha_baseline 1 is candidate (registered)"
    registry.activate(first.pk, **WHO)
    assert registry.standing(first.pk) == ""
    registry.activate(second.pk, **WHO)
    assert registry.standing(first.pk) == ""  # only succeeded: what was decided with it is carried out
    registry.rollback("alpha_baseline", **WHO)
    assert registry.standing(second.pk) == "model alpha_baseline 2 is retired (rolled back)"
    registry.shadow(third.pk, **WHO)
    assert registry.standing(third.pk) == "model alpha_baseline 3 is shadow (set to score in the shadow)"
    assert registry.standing(4711) == "model 4711 is not registered"


def race(version_ids: list[int]) -> list[str]:
    """Activate all versions at the same moment; return what each caller heard."""
    barrier = Barrier(len(version_ids))

    def run(version_id: int) -> str:
        barrier.wait()
        try:
            registry.activate(version_id, **WHO)
        except (IntegrityError, registry.ModelStepError) as error:
            return type(error).__name__
        finally:
            connection.close()
        return "active"

    with ThreadPoolExecutor(len(version_ids)) as pool:
        return list(pool.map(run, version_ids))


@pytest.mark.django_db(transaction=True)
def test_two_activations_at_once_follow_each_other_and_leave_one_active():
    ids = [stored(seed=seed).pk for seed in range(1, 5)]
    assert race(ids) == ["active"] * 4
    assert ModelVersion.objects.filter(status="active").count() == 1
    assert ModelEvent.objects.filter(act="superseded").count() == 3


@pytest.mark.django_db(transaction=True)
def test_the_same_activation_twice_at_once_happens_once():
    version = stored()
    assert sorted(race([version.pk] * 4)) == ["ModelStepError"] * 3 + ["active"]
    assert version.events.filter(act="activated").count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_the_database_stops_the_second(monkeypatch):
    """The control: the race is real, and the index is the last line."""
    barrier = Barrier(4)

    def meet(strategy: str) -> None:
        barrier.wait()

    ids = [stored(seed=seed).pk for seed in range(1, 5)]
    monkeypatch.setattr(activation, "lock_strategy", meet)
    monkeypatch.setattr(versions, "lock_strategy", meet)
    heard = race(ids)
    assert heard.count("IntegrityError") >= 1
    assert ModelVersion.objects.filter(status="active").count() == 1
