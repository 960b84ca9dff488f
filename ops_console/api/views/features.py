"""Features before they are needed."""

from rest_framework.request import Request
from rest_framework.response import Response

from marketdata.calendar import last_closed_session
from ops_console.api import fields
from ops_console.api.answers.jobs import JobDetailSerializer, job_detail_answer
from ops_console.api.base import ApiView, body_of, caller_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from ops_console.api.views.jobs import ADDRESS
from ops_console.scopes import Scope
from trading.services import jobs

PRECOMPUTE_FIELDS: dict[str, fields.Field] = {
    "session": fields.day("Session whose close the features are of; without it the last one that has closed."),
    "symbols": fields.symbol_list(),
}


class FeaturesPrecomputeView(ApiView):
    """Put features into the cache."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "features_precompute",
        "Compute the features of a session into the cache",
        description=(
            "Work for the process `jobs`: the answer is the job, at `Location`. Without `symbols` it is for all "
            "tradable ones. Rows that are there are left alone; a corrected bar makes them anew. The result of the "
            "job has `rows`, `there_before`, `missing` (no bar of that session) and `stored` (false without Redis, "
            "with a `reason`)."
        ),
        body=PRECOMPUTE_FIELDS,
        example={"session": "2012-06-14"},
        answers={202: JobDetailSerializer},
        problems=[ProblemCode.THROTTLED],
    )
    def post(self, request: Request) -> Response:
        """Answer 202 with the job."""
        values, now = fields.read_fields(body_of(request), PRECOMPUTE_FIELDS), desk()
        session = values["session"] or last_closed_session(now.market_now)
        wish = {"session": session.isoformat(), "symbols": values["symbols"]}
        job = jobs.ask("precompute", wish, asked_by=caller_of(request).username, now=now.wall_now)
        response = Response(job_detail_answer(job, now.wall_now), status=202)
        response.headers["Location"] = f"{ADDRESS}{job.pk}"
        return response
