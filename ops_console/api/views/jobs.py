"""Long work: backtests, trainings, imports. Each is asked for at its own address; here it is watched and ended."""

from rest_framework.request import Request
from rest_framework.response import Response

from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.jobs import (
    JobDetailSerializer,
    JobPageSerializer,
    job_answer,
    job_detail_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem
from ops_console.scopes import Scope
from trading import selectors
from trading.models import Job
from trading.services import jobs
from trading.states import JobState

ADDRESS = "/api/v1/jobs/"
KIND_FORM = r"^[a-z][a-z0-9_-]{0,31}$"
LIST_FIELDS: dict[str, fields.Field] = {
    "kind": fields.pattern(KIND_FORM, "the name of a kind of work", "Kind of work.", "backtest"),
    "state": fields.choice(JobState, "Where it stands."),
    **PAGE_FIELDS,
}
NO_FIELDS: dict[str, fields.Field] = {}


class JobsView(ApiView):
    """All long work."""

    @documented("jobs_list", "List jobs, newest first", query=LIST_FIELDS, answers={200: JobPageSerializer})
    def get(self, request: Request) -> Response:
        """Return one page."""
        query, now = query_of(request, LIST_FIELDS), wall_now()
        found = selectors.jobs(kind=query["kind"], state=query["state"])
        page = newest_first(found, limit=query["limit"], cursor=query["cursor"])
        return Response(page.body(lambda job: job_answer(job, now)))


class JobView(ApiView):
    """One job."""

    @documented("jobs_get", "Get a job", answers={200: JobDetailSerializer}, problems=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, job_id: int) -> Response:
        """Return the job with its parameters, its result and the end of its log."""
        return Response(job_detail_answer(known_job(job_id), wall_now()))


class JobCancelView(ApiView):
    """End a job."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "jobs_cancel",
        "Cancel a job",
        description=(
            "What waits ends at once. What runs is asked to end, and is ended after ten seconds; until then its state "
            "stays `running` and `cancel_asked_at` is set. What it has completed meanwhile counts as completed."
        ),
        body=NO_FIELDS,
        answers={200: JobDetailSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ALREADY_IN_STATE],
    )
    def post(self, request: Request, job_id: int) -> Response:
        """Answer with the job."""
        fields.read_fields(body_of(request), NO_FIELDS)
        now = wall_now()
        known_job(job_id)
        job = jobs.cancel(job_id=job_id, asked_by=caller_of(request).username, now=now)
        return Response(job_detail_answer(job, now))


class JobRetryView(ApiView):
    """Do the same work once more."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "jobs_retry",
        "Ask for the work of a job once more",
        description="A new job with the same parameters; only what is over can be asked for again.",
        body=NO_FIELDS,
        answers={201: JobDetailSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ALREADY_IN_STATE, ProblemCode.THROTTLED],
    )
    def post(self, request: Request, job_id: int) -> Response:
        """Answer 201 with the new job."""
        fields.read_fields(body_of(request), NO_FIELDS)
        now = wall_now()
        job = jobs.ask_again(job=known_job(job_id), asked_by=caller_of(request).username, now=now)
        response = Response(job_detail_answer(job, now), status=201)
        response.headers["Location"] = f"{ADDRESS}{job.pk}"
        return response


def known_job(job_id: int) -> Job:
    """Return a job.

    :raises Problem: there is none
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise Problem(ProblemCode.NOT_FOUND, f"there is no job {job_id}")
    return job
