"""The pages of long work."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from execution.models import Account
from marketdata.clock import wall_now
from tests.ops_console.conftest import Visitor
from trading import job_kinds
from trading.job_kinds import JobKind
from trading.models import Job
from trading.services import jobs
from trading.services.jobs import holding
from trading.services.jobs.holding import Held

HTMX = {"HX-Request": "true"}


def waiting(seconds: int = 4) -> Job:
    return jobs.ask("wait", {"seconds": seconds}, asked_by="ann", now=wall_now())


def running() -> Held:
    waiting()
    job = holding.take(now=wall_now())
    return Held(job.pk, job.claim)


def page(client: Client, name: str, *args: int, query: str = "") -> str:
    return client.get(reverse(name, args=args) + query).content.decode()


def test_an_empty_list_says_what_comes_here(desk: Account, visitor: Visitor) -> None:
    html = page(visitor("viewer"), "jobs")
    assert "No job matches" in html
    assert 'hx-trigger="every 10s"' in html


def test_a_running_job_shows_its_progress_and_the_table_asks_again(desk: Account, visitor: Visitor) -> None:
    held = running()
    holding.tell(held, done=1, total=4, what="waiting <b>", now=wall_now())
    html = page(visitor("trader"), "jobs")
    assert '<progress max="100" value="25" aria-label="25% done">' in html
    assert "waiting &lt;b&gt;" in html
    assert 'hx-trigger="every 2s"' in html
    assert reverse("job-cancel", args=[held.job_id]) in html
    assert "seconds 4" in html


def test_the_table_keeps_its_filters_when_it_asks_again(desk: Account, visitor: Visitor) -> None:
    running(), waiting()
    client = visitor("viewer")
    html = page(client, "jobs", query="?state=queued")
    assert f'hx-get="{reverse("jobs-rows")}?state=queued"' in html
    rows = page(client, "jobs-rows", query="?state=queued")
    assert rows.count('class="lead"') == 1
    assert "<html" not in rows


def test_a_part_of_a_page_is_never_replaced_by_the_log_in_page(db: None) -> None:
    answer = Client().get(reverse("jobs-rows"), headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true")


def test_one_shows_parameters_result_and_log_and_stops_asking_when_over(desk: Account, visitor: Visitor) -> None:
    held = running()
    client = visitor("viewer")
    assert reverse("job-now", args=[held.job_id]) in page(client, "job", held.job_id)
    holding.keep_log(held.job_id, 1, "a line <script>")
    holding.complete(held, result={"seconds": 4}, now=wall_now())
    html = page(client, "job", held.job_id)
    assert "&quot;seconds&quot;: 4" in html
    assert "a line &lt;script&gt;" in html
    assert reverse("job-now", args=[held.job_id]) not in html
    assert 'value="100"' in html


def test_a_result_with_a_page_of_its_own_is_linked(
    desk: Account, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = JobKind(title="Wait", runs="trading.waiting_job:wait", checks="trading.waiting_job:check_wait", page="run")
    monkeypatch.setitem(job_kinds.KINDS, "wait", kind)
    for result, shown in ({"id": 7}, True), ({"id": "x"}, False), ({}, False):
        held = running()
        holding.complete(held, result=result, now=wall_now())
        assert (reverse("run", args=[7]) in page(visitor("viewer"), "job", held.job_id)) == shown


def test_a_failure_and_a_cancel_say_why_and_by_whom(desk: Account, visitor: Visitor) -> None:
    failed, canceled = running(), waiting()
    holding.fail(failed, error="ValueError: no bars", now=wall_now())
    jobs.cancel(job_id=canceled.pk, asked_by="bob", now=wall_now())
    client = visitor("viewer")
    assert "ValueError: no bars" in page(client, "job", failed.job_id)
    assert "Canceled by bob" in page(client, "job", canceled.pk)


def test_cancel_and_once_more_are_for_traders(desk: Account, visitor: Visitor) -> None:
    job = waiting()
    for name in ("job-cancel", "job-retry"):
        assert visitor("viewer").post(reverse(name, args=[job.pk])).status_code == 403
    trader = visitor("trader")
    answer = trader.post(reverse("job-cancel", args=[job.pk]), headers=HTMX)
    assert "It is canceled." in answer.content.decode()
    job.refresh_from_db()
    assert (job.state, job.cancel_asked_by) == ("canceled", "trader")
    assert trader.post(reverse("job-cancel", args=[job.pk]), headers=HTMX).status_code == 409
    assert trader.post(reverse("job-retry", args=[job.pk])).status_code == 302
    assert Job.objects.filter(state="queued", asked_by="trader").count() == 1
    held = running()
    assert trader.post(reverse("job-retry", args=[held.job_id]), headers=HTMX).status_code == 409


def test_a_long_list_costs_no_more_queries(
    desk: Account, visitor: Visitor, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = visitor("viewer")
    waiting()
    page(client, "jobs")
    with django_assert_max_num_queries(40) as few:
        page(client, "jobs")
    for _ in range(20):
        waiting()
    with django_assert_max_num_queries(len(few)):
        page(client, "jobs")
