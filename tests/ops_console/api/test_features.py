"""Precomputing features over HTTP."""

import pytest
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.calendar import last_closed_session
from marketdata.clock import wall_now
from trading.models import Job

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/features/precompute"


def test_a_precompute_is_a_job_of_the_last_closed_session(account: Account, trader: APIClient) -> None:
    answer = trader.post(ADDRESS, {}, format="json")
    assert answer.status_code == 202
    job = Job.objects.get()
    assert answer.headers["Location"] == f"/api/v1/jobs/{job.pk}"
    session = last_closed_session(account.feed.market_now(wall_now()))
    assert (job.kind, job.parameters) == ("precompute", {"session": session.isoformat(), "symbols": None})
    assert answer.json()["state"] == "queued"


def test_session_and_symbols_can_be_named(account: Account, trader: APIClient) -> None:
    body = {"session": "2012-06-14", "symbols": ["IBM", "AAPL", "IBM"]}
    assert trader.post(ADDRESS, body, format="json").status_code == 202
    assert Job.objects.get().parameters == {"session": "2012-06-14", "symbols": ["IBM", "AAPL"]}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"session": "2012-06-16"}, "session"),
        ({"session": "soon"}, "session"),
        ({"symbols": []}, "symbols"),
        ({"symbols": "IBM"}, "symbols"),
        ({"universe": "all"}, "universe"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(account: Account, trader: APIClient, body: object, name: str) -> None:
    answer = trader.post(ADDRESS, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["name"] == name
    assert not Job.objects.exists()
