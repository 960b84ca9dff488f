"""Ask the bars, ticks and the book in SQL: an editor, the answer, queries that people keep."""

from dataclasses import dataclass, field
from typing import Any

import structlog
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from marketdata.clock import wall_now
from ops_console.models import SavedQuery
from ops_console.permissions import Act, requires
from ops_console.services.saved_queries import SavedQueryRefused, delete_query, save_query
from ops_console.views.outcome import outcome
from trading.sql.catalog import TABLES
from trading.sql.rendering import as_csv, is_number
from trading.sql.run import LONGEST_QUERY, Answer, EngineBusy, Limits, QueryFailed, QueryLate, run_query

log = structlog.get_logger(__name__)

ROW_LIMITS = (100, 1_000, 5_000)
PAGE_SECONDS = 15
CSV_LIMITS = Limits(rows=200_000, seconds=30)
LONGEST_CELL = 400
EXAMPLE = """SELECT symbol, min(date) AS first, max(date) AS last, count(*) AS bars
FROM bars
GROUP BY symbol
ORDER BY symbol"""


@dataclass(slots=True)
class Shown:
    """What the page shows besides the editor."""

    query: str
    rows: int = ROW_LIMITS[0]
    answer: Answer | None = None
    problem: str = ""
    columns: list[tuple[str, str, bool]] = field(default_factory=list)
    """Name, kind, and whether it holds numbers."""
    lines: list[list[tuple[str | None, bool, str]]] = field(default_factory=list)
    """Each cell's text, whether it is a number, and the column's name."""


@require_GET
@requires(Act.READ)
def sql(request: HttpRequest) -> HttpResponse:
    """Show the editor, with the query of the address or a kept one in it; nothing runs before somebody asks."""
    query = request.GET.get("q", "")[:LONGEST_QUERY]
    if saved := request.GET.get("saved", ""):
        if not saved.isdecimal() or len(saved) > 18:
            raise Http404(f"there is no saved query {saved[:40]!r}")
        query = get_object_or_404(SavedQuery, pk=int(saved)).text
    return _page(request, Shown(query or EXAMPLE))


@require_POST
@requires(Act.READ)
def run(request: HttpRequest) -> HttpResponse:
    """Run the query and show its rows, or hand them over as a file."""
    query = request.POST.get("q", "")
    if request.POST.get("as") == "csv":
        return _download(request, query)
    shown = Shown(query, _rows(request))
    try:
        answer = run_query(query, now=wall_now(), asked_by=_who(request), limits=Limits(shown.rows, PAGE_SECONDS))
    except QueryFailed as error:
        shown.problem = str(error)
        return _page(request, shown, status=_status(error))
    shown.answer = answer
    shown.columns = [(name, kind, is_number(kind)) for name, kind in answer.columns]
    shown.lines = [
        [(_cut(value), numeric, name) for value, (name, _, numeric) in zip(row, shown.columns, strict=True)]
        for row in answer.rows
    ]
    return _page(request, shown)


@require_POST
@requires(Act.READ)
def save(request: HttpRequest) -> HttpResponse:
    """Keep the query under a name; the same name of the same person is replaced."""
    query = request.POST.get("q", "")
    try:
        kept = save_query(owner=_user(request), name=request.POST.get("name", ""), text=query, now=wall_now())
    except SavedQueryRefused as error:
        return _page(request, Shown(query, problem=str(error)), status=400)
    log.info("query_saved", user=_who(request), query=kept.pk)
    return redirect(f"{reverse('sql')}?{urlencode({'saved': kept.pk})}")


@require_POST
@requires(Act.READ)
def delete(request: HttpRequest, query_id: int) -> HttpResponse:
    """Forget one's own query."""
    try:
        delete_query(owner=_user(request), query_id=query_id)
    except SavedQuery.DoesNotExist:
        return outcome(request, "bad", "There is no such query of yours.", back="sql", status=404)
    log.info("query_deleted", user=_who(request), query=query_id)
    return outcome(request, "good", "It is deleted.", back="sql")


def _download(request: HttpRequest, query: str) -> HttpResponse:
    try:
        answer = run_query(query, now=wall_now(), asked_by=_who(request), limits=CSV_LIMITS)
    except QueryFailed as error:
        return _page(request, Shown(query, problem=str(error)), status=_status(error))
    headers = {"Content-Disposition": f'attachment; filename="query-{wall_now():%Y%m%d-%H%M%S}.csv"'}
    if answer.truncated:
        headers["X-Truncated"] = answer.truncated
    return HttpResponse(as_csv(answer), content_type="text/csv; charset=utf-8", headers=headers)


def _page(request: HttpRequest, shown: Shown, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        "shown": shown,
        "tables": TABLES.values(),
        "saved": SavedQuery.objects.select_related("owner").order_by("name", "owner__username")[:500],
        "row_limits": ROW_LIMITS,
        "seconds": PAGE_SECONDS,
        "csv_rows": CSV_LIMITS.rows,
        "longest": LONGEST_QUERY,
    }
    return render(request, "ops_console/sql.html", context, status=status)


def _rows(request: HttpRequest) -> int:
    wanted = request.POST.get("rows", "")
    return int(wanted) if wanted in {str(limit) for limit in ROW_LIMITS} else ROW_LIMITS[0]


def _status(error: QueryFailed) -> int:
    if isinstance(error, EngineBusy):
        return 429
    return 504 if isinstance(error, QueryLate) else 400


def _cut(value: str | None) -> str | None:
    return value if value is None or len(value) <= LONGEST_CELL else f"{value[:LONGEST_CELL]}…"


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the view asks for a log-in"
    return request.user


def _who(request: HttpRequest) -> str:
    return request.user.get_username()
