"""Models over the API: look, activate with one or two people, roll back, reload; refusals change nothing."""

import pytest
from rest_framework.test import APIClient

from ops_console.scopes import Scope
from signals import registry
from signals.models import ModelEvent, ModelVersion
from signals.registry import live_models
from signals.registry.artefacts import path_of
from tests.ops_console.api.bodies import REASON
from tests.ops_console.api.conftest import Client
from tests.signals.registry.candidates import NOW, stored

pytestmark = pytest.mark.django_db
MODELS = "/api/v1/models"


@pytest.fixture(autouse=True)
def model_folder(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_APPROVALS = 1
    live_models.forget()
    yield settings.MODEL_DIR
    live_models.forget()


@pytest.fixture
def officer(client_of: Client) -> APIClient:
    return client_of(Scope.RISK, name="olga")


def post(client: APIClient, address: str, **body: object):
    return client.post(f"{MODELS}/{address}", body, format="json")


def test_versions_come_newest_first_with_their_figures_as_texts(officer):
    first, second = stored(seed=1), stored(seed=2)
    page = officer.get(MODELS).json()
    assert [row["id"] for row in page["results"]] == [second.pk, first.pk]
    row = page["results"][0]
    assert (row["status"], row["signed"], row["number"]) == ("candidate", True, 2)
    assert isinstance(row["metrics"]["test"]["rank_ic"]["mean"], str)
    assert officer.get(MODELS, {"status": "active"}).json()["results"] == []
    assert len(officer.get(MODELS, {"strategy": "alpha_baseline"}).json()["results"]) == 2


def test_one_version_tells_everything_about_itself(officer):
    version = stored()
    body = officer.get(f"{MODELS}/{version.pk}").json()
    assert body["features"] == ["F0", "F1", "F2", "F3"]
    assert set(body["importance"]["F0"]) == {"gain", "splits"}
    assert body["splits"]["embargo_sessions"] == 5
    assert [event["act"] for event in body["events"]] == ["registered"]
    assert officer.get(f"{MODELS}/4711").status_code == 404


def test_activating_and_rolling_back(officer):
    first, second = stored(seed=1), stored(seed=2)
    assert post(officer, f"{first.pk}/activate", reason=REASON).json()["status"] == "active"
    body = post(officer, f"{second.pk}/activate", reason=REASON).json()
    assert (body["status"], body["events"][0]["operator"]) == ("active", "olga")
    again = post(officer, f"{second.pk}/activate", reason=REASON)
    assert (again.status_code, again.json()["code"]) == (409, "ALREADY_IN_STATE")
    assert post(officer, "rollback", strategy="alpha_baseline", reason=REASON).json()["id"] == first.pk
    nothing = post(officer, "rollback", strategy="alpha_baseline", reason=REASON)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "ALREADY_IN_STATE")
    assert ModelEvent.objects.filter(act="rolled_back").count() == 1


def test_shadow_and_retire(officer):
    version = stored()
    assert post(officer, f"{version.pk}/shadow", reason=REASON).json()["status"] == "shadow"
    assert post(officer, f"{version.pk}/retire", reason=REASON).json()["status"] == "retired"
    assert post(officer, "4711/retire", reason=REASON).status_code == 404


def test_where_two_are_needed_the_first_asks_and_another_approves(officer, client_of, settings):
    settings.MODEL_APPROVALS = 2
    version, other = stored(seed=1), stored(seed=2)
    asked = post(officer, f"{version.pk}/activate", reason=REASON)
    assert asked.status_code == 202
    number = asked.json()["id"]
    own = post(officer, f"{version.pk}/activate", approval_id=number)
    assert (own.status_code, own.json()["code"]) == (403, "SECOND_OPERATOR_REQUIRED")
    second = client_of(Scope.RISK, name="rita")
    wrong = post(second, f"{other.pk}/activate", approval_id=number)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "REQUEST_NOT_PENDING")
    body = post(second, f"{version.pk}/activate", approval_id=number).json()
    assert body["status"] == "active"
    assert (body["events"][0]["operator"], body["events"][0]["second_operator"]) == ("olga", "rita")
    assert body["approvals"][0]["state"] == "approved"
    over = post(second, f"{version.pk}/reject", approval_id=number)
    assert (over.status_code, over.json()["code"]) == (409, "REQUEST_NOT_PENDING")


def test_a_request_can_be_turned_down(officer, settings):
    settings.MODEL_APPROVALS = 2
    version = stored()
    number = post(officer, f"{version.pk}/activate", reason=REASON).json()["id"]
    assert post(officer, f"{version.pk}/reject", approval_id=number).json()["state"] == "rejected"
    assert ModelVersion.objects.get(pk=version.pk).status == "candidate"


def test_an_altered_file_is_not_activated(officer):
    version = stored()
    content = bytearray(path_of(version).read_bytes())
    content[50] ^= 1
    path_of(version).write_bytes(content)
    refused = post(officer, f"{version.pk}/activate", reason=REASON)
    assert (refused.status_code, refused.json()["code"]) == (409, "MODEL_UNUSABLE")
    assert "the file was altered" in refused.json()["detail"]
    assert ModelVersion.objects.get(pk=version.pk).status == "candidate"


@pytest.mark.parametrize("reason", [None, "", "too short", "x" * 501])
def test_a_reason_is_needed(officer, reason):
    refused = post(officer, f"{stored().pk}/activate", reason=reason)
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (400, "reason")


def test_reloading_tells_what_this_process_uses(officer):
    first, second = stored(seed=1), stored(seed=2)
    assert post(officer, "reload").json()["results"] == []
    registry.activate(first.pk, actor="olga", reason=REASON, now=NOW)
    told = post(officer, "reload").json()["results"]
    assert [(row["state"], row["active_id"], row["used_id"]) for row in told] == [("verified", first.pk, None)]
    registry.active_model("alpha_baseline")
    assert post(officer, "reload").json()["results"][0]["state"] == "unchanged"
    registry.activate(second.pk, actor="olga", reason=REASON, now=NOW)
    told = post(officer, "reload").json()["results"][0]
    assert (told["state"], told["used_id"]) == ("loaded", second.pk)
    registry.activate(first.pk, actor="olga", reason=REASON, now=NOW)
    path_of(first).unlink()
    told = post(officer, "reload").json()["results"][0]
    assert (told["state"], told["used_id"]) == ("failed", second.pk)
    assert "is missing" in told["detail"]


def test_a_training_is_asked_for_as_a_job(client_of):
    trader = client_of(Scope.TRADE)
    wanted = {"strategy": "alpha_baseline", "symbols": ["AAPL", "IBM"], "start": "2004-01-02", "end": "2010-12-31"}
    answer = post(trader, "train", **wanted, parameters={"num_leaves": 31, "learning_rate": 0.05})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json()['id']}"
    assert answer.json()["parameters"]["parameters"] == {"num_leaves": 31, "learning_rate": "0.05"}
    for change, name in (
        ({"strategy": "momentum"}, "strategy"),
        ({"parameters": {"input_model": "x"}}, "input_model"),
        ({"end": "2003-01-02"}, "end"),
    ):
        refused = post(trader, "train", **(wanted | change))
        assert (refused.status_code, refused.json()["errors"][0]["name"]) == (400, name)
