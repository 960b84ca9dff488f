"""Long work over HTTP: list, look, cancel, once more."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.scopes import Scope
from tests.ops_console.api.conftest import Client
from trading.models import Job
from trading.services import jobs
from trading.services.jobs import asking, holding
from trading.services.jobs.holding import Held

pytestmark = pytest.mark.django_db
JOBS = "/api/v1/jobs"


def waiting(**fields: Any) -> Job:
    return jobs.ask("wait", {"seconds": 4}, **{"asked_by": "ann", "now": wall_now()} | fields)


def running() -> Held:
    waiting()
    job = holding.take(now=wall_now())
    return Held(job.pk, job.claim)


def test_jobs_are_listed_newest_first_by_state_and_kind(account: Account, trader: APIClient) -> None:
    held, other = running(), waiting()
    found = trader.get(JOBS).json()["results"]
    assert [row["id"] for row in found] == [other.pk, held.job_id]
    assert (found[0]["title"], found[0]["state"], found[0]["percent"]) == ("Wait", "queued", None)
    assert [row["id"] for row in trader.get(f"{JOBS}?state=running").json()["results"]] == [held.job_id]
    assert trader.get(f"{JOBS}?kind=backtest").json()["results"] == []
    page = trader.get(f"{JOBS}?limit=1").json()
    assert [row["id"] for row in trader.get(f"{JOBS}?cursor={page['next_cursor']}").json()["results"]] == [held.job_id]


@pytest.mark.parametrize("query", ["state=asleep", "kind=A%20b", "limit=0", "colour=red"])
def test_a_wrong_filter_is_refused_by_name(account: Account, trader: APIClient, query: str) -> None:
    answer = trader.get(f"{JOBS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["name"] == query.split("=")[0]


def test_one_tells_how_far_it_is_and_what_came_of_it(account: Account, trader: APIClient) -> None:
    held = running()
    holding.tell(held, done=1, total=4, what="waiting", now=wall_now())
    body = trader.get(f"{JOBS}/{held.job_id}").json()
    assert (body["percent"], body["what"], body["parameters"], body["result"]) == (25, "waiting", {"seconds": 4}, None)
    assert body["seconds_left"] is not None
    holding.complete(held, result={"seconds": 4}, now=wall_now())
    body = trader.get(f"{JOBS}/{held.job_id}").json()
    assert (body["state"], body["result"], body["seconds_left"]) == ("completed", {"seconds": 4}, None)
    assert trader.get(f"{JOBS}/{held.job_id + 1}").json()["code"] == "NOT_FOUND"


def test_a_cancel_ends_what_waits_and_asks_what_runs(account: Account, trader: APIClient) -> None:
    job, held = waiting(), None
    assert trader.post(f"{JOBS}/{job.pk}/cancel", {}, format="json").json()["state"] == "canceled"
    again = trader.post(f"{JOBS}/{job.pk}/cancel", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "ALREADY_IN_STATE")
    held = running()
    body = trader.post(f"{JOBS}/{held.job_id}/cancel", {}, format="json").json()
    assert body["state"] == "running"
    assert body["cancel_asked_by"]
    assert trader.post(f"{JOBS}/999/cancel", {}, format="json").status_code == 404


def test_once_more_is_a_new_job(account: Account, trader: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    held = running()
    assert trader.post(f"{JOBS}/{held.job_id}/retry", {}, format="json").status_code == 409
    holding.fail(held, error="no", now=wall_now())
    answer = trader.post(f"{JOBS}/{held.job_id}/retry", {}, format="json")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{JOBS}/{answer.json()['id']}"
    assert answer.json()["parameters"] == {"seconds": 4}
    monkeypatch.setattr(asking, "MOST_QUEUED", 1)
    full = trader.post(f"{JOBS}/{held.job_id}/retry", {}, format="json")
    assert (full.status_code, full.json()["code"], full.headers["Retry-After"]) == (429, "THROTTLED", "60")


def test_readers_look_and_change_nothing(account: Account, client_of: Client) -> None:
    job = waiting()
    reader = client_of(Scope.READ)
    assert reader.get(f"{JOBS}/{job.pk}").status_code == 200
    for act in ("cancel", "retry"):
        assert reader.post(f"{JOBS}/{job.pk}/{act}", {}, format="json").status_code == 403
