"""The models page: what it says, who may act, and that each act keeps its reason."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from execution.models import Account
from marketdata.clock import wall_now
from signals import registry
from signals.models import ModelApproval, ModelEvent, ModelVersion
from signals.registry import live_models
from signals.registry.artefacts import path_of
from tests.ops_console.conftest import Visitor
from tests.signals.registry.candidates import NOW, REASON, stored

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def model_folder(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_APPROVALS = 1
    live_models.forget()
    yield settings.MODEL_DIR
    live_models.forget()


def act(client: Client, name: str, of: object, **fields: str):
    return client.post(reverse(name, args=[of]), fields, headers=HTMX)


def test_without_models_the_page_says_how_to_get_one(desk: Account, visitor: Visitor):
    html = visitor("viewer").get(reverse("models")).content.decode()
    assert "No models yet" in html
    assert "manage.py train_model" in html


def test_versions_and_what_is_active_are_shown(desk: Account, visitor: Visitor):
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, actor="olga", reason=REASON, now=NOW)
    registry.activate(second.pk, actor="olga", reason=REASON, now=NOW)
    html = visitor("viewer").get(reverse("models")).content.decode()
    assert html.count(reverse("model", args=[first.pk])) == 1
    assert "version 2" in html
    assert "Roll back to 1" in html
    filtered = visitor("viewer").get(reverse("models"), {"strategy": "momentum"}).content.decode()
    assert reverse("model", args=[first.pk]) not in filtered


def test_one_version_shows_figures_importance_and_history(desk: Account, visitor: Visitor):
    version = stored()
    client = visitor("viewer")
    html = client.get(reverse("model", args=[version.pk])).content.decode()
    for said in ("Validation", "Decay", "Quantiles", "What it looks at", "F0", version.sha256, "num_leaves", "maker"):
        assert said in html
    assert client.get(reverse("model", args=[4711])).status_code == 404
    curves = client.get(reverse("model-ic", args=[version.pk])).json()["splits"]
    assert set(curves) == {"train", "valid", "test"}
    assert set(curves["test"][0]) == {"date", "sum"}


@pytest.mark.parametrize("role", ["viewer", "trader"])
def test_who_does_not_answer_for_risk_changes_nothing(desk: Account, visitor: Visitor, role: str):
    version = stored()
    for name, of in (
        ("model-activate", version.pk),
        ("model-shadow", version.pk),
        ("model-retire", version.pk),
        ("model-rollback", "alpha_baseline"),
        ("model-approve", 1),
        ("model-reject", 1),
    ):
        assert act(visitor(role), name, of, reason=REASON).status_code == 403
    assert ModelVersion.objects.get().status == "candidate"


def test_acts_keep_who_and_why(desk: Account, visitor: Visitor):
    first, second = stored(seed=1), stored(seed=2)
    officer = visitor("risk_officer")
    assert (
        "every process uses it within seconds"
        in act(officer, "model-activate", first.pk, reason=REASON).content.decode()
    )
    assert act(officer, "model-shadow", second.pk, reason=REASON).status_code == 200
    assert act(officer, "model-activate", second.pk, reason=REASON).status_code == 200
    assert "is active again" in act(officer, "model-rollback", "alpha_baseline", reason=REASON).content.decode()
    assert act(officer, "model-retire", first.pk, reason=REASON).status_code == 200
    acts = list(ModelEvent.objects.exclude(act="registered").order_by("id").values_list("act", "reason"))
    assert acts[0] == ("activated", REASON)
    assert [name for name, _ in acts] == [
        "activated", "shadowed", "superseded", "activated", "rolled_back", "restored", "retired",
    ]  # fmt: skip


def test_refusals_say_that_nothing_was_changed(desk: Account, visitor: Visitor):
    version = stored()
    officer = visitor("risk_officer")
    short = act(officer, "model-activate", version.pk, reason="no")
    assert (short.status_code, "10 to 500 are needed" in short.content.decode()) == (409, True)
    path_of(version).unlink()
    gone = act(officer, "model-activate", version.pk, reason=REASON)
    assert "Nothing was changed." in gone.content.decode()
    assert "is missing" in gone.content.decode()
    assert act(officer, "model-retire", 4711, reason=REASON).status_code == 404


def test_where_two_are_needed_the_page_shows_what_waits(desk: Account, visitor: Visitor, settings):
    settings.MODEL_APPROVALS = 2
    version = stored()
    officer = visitor("risk_officer")
    assert (
        "another person has to approve it" in act(officer, "model-activate", version.pk, reason=REASON).content.decode()
    )
    number = ModelApproval.objects.get().pk
    assert "Waiting for another person" in officer.get(reverse("models")).content.decode()
    own = act(officer, "model-approve", number)
    assert (own.status_code, "another person has to approve it" in own.content.decode()) == (409, True)
    assert act(visitor("admin"), "model-approve", number).status_code == 200
    assert ModelVersion.objects.get().status == "active"
    assert "Waiting for another person" not in officer.get(reverse("models")).content.decode()


def test_a_request_is_turned_down(desk: Account, visitor: Visitor, settings):
    settings.MODEL_APPROVALS = 2
    asked = registry.request_activation(stored().pk, actor="olga", reason=REASON, now=wall_now())
    assert act(visitor("admin"), "model-reject", asked.pk).status_code == 200
    assert "is rejected already" in act(visitor("admin"), "model-reject", asked.pk).content.decode()


def test_events_in_the_admin_can_only_be_looked_at(desk: Account, visitor: Visitor):
    version = stored()
    admin = visitor("admin")
    for name in ("modelversion", "modelevent", "modelapproval"):
        assert admin.get(reverse(f"admin:signals_{name}_changelist")).status_code == 200
        assert admin.get(reverse(f"admin:signals_{name}_add")).status_code == 403
    assert admin.get(reverse("admin:signals_modelversion_change", args=[version.pk])).status_code == 200
    assert admin.post(reverse("admin:signals_modelversion_delete", args=[version.pk])).status_code == 403


def test_many_versions_take_no_more_queries_than_few(desk: Account, visitor: Visitor):
    officer = visitor("viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert officer.get(reverse("models")).status_code == 200
        return len(found)

    for seed in (1, 2):
        registry.activate(stored(seed=seed).pk, actor="olga", reason=REASON, now=NOW)
    few = queries()
    for seed in (3, 4, 5, 6):
        registry.activate(stored(seed=seed).pk, actor="olga", reason=REASON, now=NOW)
    assert queries() == few
