"""Long work: what waits, what runs and how far it is, what came of it; cancel and once more."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET, require_POST

from marketdata.clock import wall_now
from ops_console.api.answers.jobs import title_of
from ops_console.permissions import Act, requires
from ops_console.views.filters import page_of
from ops_console.views.outcome import outcome
from signals.parameters import BadParameter
from trading import selectors
from trading.errors import JobNotOverError, JobOverError, TooManyJobsError
from trading.job_kinds import KINDS
from trading.models import Job
from trading.services import jobs as work
from trading.states import JobState

LONGEST_SAID = 90


@dataclass(frozen=True, slots=True)
class Line:
    """A job as a row and a page show it."""

    job: Job
    title: str
    said: str
    """Its parameters in one short line."""
    left: int | None
    taken: int | None
    result_page: str

    @property
    def is_ending(self) -> bool:
        """Tell whether its end was asked for and has not come yet."""
        return self.job.cancel_asked_at is not None and not self.job.is_over


@require_GET
@requires(Act.READ)
def jobs(request: HttpRequest) -> HttpResponse:
    """List jobs by the filters in the URL."""
    return render(request, "ops_console/jobs.html", _list(request))


@require_GET
@requires(Act.READ)
def rows(request: HttpRequest) -> HttpResponse:
    """Return the table alone; the page asks for it again and again."""
    return render(request, "ops_console/panels/jobs.html", _list(request))


@require_GET
@requires(Act.READ)
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Show one job: progress, parameters, result, the end of its log."""
    return render(request, "ops_console/job.html", _one(job_id))


@require_GET
@requires(Act.READ)
def job_now(request: HttpRequest, job_id: int) -> HttpResponse:
    """Return what changes while a job runs."""
    return render(request, "ops_console/panels/job.html", _one(job_id))


@require_POST
@requires(Act.CANCEL)
def cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    """End a job."""
    get_object_or_404(Job, pk=job_id)
    try:
        found = work.cancel(job_id=job_id, asked_by=request.user.get_username(), now=wall_now())
    except JobOverError as error:
        return outcome(request, "bad", str(error), back="jobs", status=409)
    waits = found.state == JobState.RUNNING
    text = "It was asked to end; after ten seconds it is ended." if waits else "It is canceled."
    return outcome(request, "good", text, back="jobs")


@require_POST
@requires(Act.CANCEL)
def retry(request: HttpRequest, job_id: int) -> HttpResponse:
    """Ask for the same work once more."""
    found = get_object_or_404(Job, pk=job_id)
    try:
        again = work.ask_again(job=found, asked_by=request.user.get_username(), now=wall_now())
    except (JobNotOverError, TooManyJobsError, BadParameter) as error:
        return outcome(request, "bad", str(error), back="jobs", status=409)
    return outcome(request, "good", f"Job {again.pk} waits with the same parameters.", back="jobs")


def line_of(job: Job, now: datetime) -> Line:
    """Return a job with what its row shows."""
    return Line(job, title_of(job), said_of(job), job.seconds_left(now), job.seconds_taken(now), result_page(job))


def said_of(job: Job) -> str:
    """Write a job's parameters in one line, cut where it gets long."""
    text = ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in sorted(job.parameters.items()))
    return text if len(text) <= LONGEST_SAID else f"{text[: LONGEST_SAID - 1]}…"


def result_page(job: Job) -> str:
    """Return the address of what came of a job; empty where there is none."""
    name = KINDS[job.kind].page if job.kind in KINDS else ""
    if not name or not isinstance(job.result, dict) or "id" not in job.result:
        return ""
    try:
        return reverse(name, args=[job.result["id"]])
    except NoReverseMatch:  # what it made has another kind of id, or its page is gone
        return ""


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(one) for one in value[:5]) + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _list(request: HttpRequest) -> dict[str, Any]:
    chosen = {"kind": request.GET.get("kind", ""), "state": request.GET.get("state", "")}
    page = page_of(request, selectors.jobs(kind=chosen["kind"] or None, state=chosen["state"] or None))
    now = wall_now()
    found = [row for row in page if isinstance(row, Job)]
    return {
        "page": page,
        "lines": [line_of(row, now) for row in found],
        "is_live": any(not row.is_over for row in found),
        "chosen": chosen,
        "kinds": sorted(KINDS),
        "states": JobState.values,
    }


def _one(job_id: int) -> dict[str, Any]:
    found = get_object_or_404(Job, pk=job_id)
    shown = {
        "parameters": json.dumps(found.parameters, indent=2, sort_keys=True),
        "result": "" if found.result is None else json.dumps(found.result, indent=2, sort_keys=True),
    }
    return {"line": line_of(found, wall_now()), "job": found, "shown": shown}
