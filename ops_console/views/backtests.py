"""Backtests: the list with how far each is, one in full, several side by side; start, cancel, export."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from marketdata.clock import wall_now
from marketdata.selectors import coverage
from ops_console.backtest_report import Report, comparison, csv_lines, series_of
from ops_console.backtest_words import assigned, ranges, said, value_of
from ops_console.permissions import Act, requires
from ops_console.views.filters import page_of
from ops_console.views.outcome import outcome
from signals.backtest.files import TABLES, BacktestFilesMissing
from signals.backtest.spec import OBJECTIVES
from signals.models import Backtest, BacktestKind, BacktestState
from signals.parameters import BadParameter
from signals.strategies.registry import strategy_names
from trading.errors import JobOverError, TooManyJobsError
from trading.services.backtests import ask_backtest, cancel_backtest, standing_of, standings

FEWEST, MOST = 2, 5
TEXTS = ("strategy", "start", "end", "title", "fill", "objective")
NUMBERS = (
    "capital", "delay", "commission_bps", "half_spread_bps", "impact", "borrow_bps", "max_participation", "seed",
    "draws", "train", "valid", "test", "embargo", "trials", "holdout",
)  # fmt: skip


@require_GET
@requires(Act.READ)
def backtests(request: HttpRequest) -> HttpResponse:
    """List backtests by the filters in the URL, with the form for a new one."""
    return render(request, "ops_console/backtests.html", {**_list(request), **_form({})})


@require_GET
@requires(Act.READ)
def rows(request: HttpRequest) -> HttpResponse:
    """Return the table alone; the page asks for it again while something runs."""
    return render(request, "ops_console/panels/backtests.html", _list(request))


@require_POST
@requires(Act.CANCEL)
def start(request: HttpRequest) -> HttpResponse:
    """Ask for a backtest; what is refused comes back with the form as it was filled in."""
    given = {name: str(value) for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
    try:
        parameters = _parameters(given)
        row = ask_backtest(
            kind=given.get("kind", BacktestKind.BACKTEST),
            parameters=parameters,
            asked_by=request.user.get_username(),
            wall_now=wall_now(),
        )
    except (BadParameter, TooManyJobsError) as error:
        context = {**_list(request), **_form(given), "refused": _refusal(error)}
        return render(request, "ops_console/backtests.html", context, status=400)
    return redirect("backtest", row.pk)


@require_POST
@requires(Act.CANCEL)
def cancel(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """End a backtest."""
    row = get_object_or_404(Backtest, pk=backtest_id)
    try:
        found = cancel_backtest(backtest=row, asked_by=request.user.get_username(), wall_now=wall_now())
    except JobOverError as error:
        return outcome(request, "bad", str(error), back="backtests", status=409)
    text = "It was asked to end." if found.is_open else "It is canceled."
    return outcome(request, "good", text, back="backtests")


@require_GET
@requires(Act.READ)
def backtest(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """Show one backtest: how far it is, or everything that came of it."""
    return render(request, "ops_console/backtest.html", _one(backtest_id))


@require_GET
@requires(Act.READ)
def backtest_now(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """Return what changes while it runs; when it is over the page is loaded anew."""
    context = _one(backtest_id)
    response = render(request, "ops_console/panels/backtest_progress.html", context)
    if not context["standing"].is_open:
        response.headers["HX-Refresh"] = "true"
    return response


@require_GET
@requires(Act.READ)
def series(request: HttpRequest) -> JsonResponse:
    """Return what the charts of one or several backtests draw."""
    return JsonResponse({"runs": [series_of(row) for row in _chosen(request, fewest=1)]})


@require_GET
@requires(Act.READ)
def compare(request: HttpRequest) -> HttpResponse:
    """Show two to five completed backtests side by side."""
    found = _chosen(request, fewest=0)
    context: dict[str, Any] = {"rows": found, "fewest": FEWEST, "most": MOST}
    if len(found) >= FEWEST:
        context |= {"comparison": comparison(found), "ids": [row.pk for row in found]}
    return render(request, "ops_console/backtests_compare.html", context)


@require_GET
@requires(Act.READ)
def export(request: HttpRequest, backtest_id: int, table: str) -> HttpResponse:
    """Send one table of a backtest as CSV; texts that a spreadsheet would compute are kept texts."""
    row = get_object_or_404(Backtest, pk=backtest_id)
    names = {str(name): name for name in TABLES}
    if table not in names or row.state != BacktestState.COMPLETED:
        raise Http404(f"backtest {backtest_id} has no table {table!r}")
    try:
        text = "".join(csv_lines(row, names[table]))
    except BacktestFilesMissing as error:
        raise Http404(str(error)) from error
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="backtest-{row.pk}-{table}.csv"'
    return answer


def _list(request: HttpRequest) -> dict[str, Any]:
    chosen = {name: request.GET.get(name, "") for name in ("kind", "state", "strategy")}
    found = Backtest.objects.filter(**{name: value for name, value in chosen.items() if value}).defer("detail")
    page = page_of(request, found)
    lines = standings([row for row in page if isinstance(row, Backtest)])
    return {
        "page": page,
        "lines": lines,
        "is_live": any(line.is_open for line in lines),
        "chosen": chosen,
        "kinds": BacktestKind.choices,
        "states": BacktestState.values,
        "strategies": strategy_names(),
    }


def _form(given: dict[str, Any]) -> dict[str, Any]:
    """Return the form's choices and what was filled in; the range begins as what is stored."""
    stored = coverage()
    first, last = (None, None) if stored.is_empty() else (stored["first"].min(), stored["last"].max())
    return {"given": given, "first": first, "last": last, "objectives": OBJECTIVES}


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Read the form's texts; an empty field is one left out."""
    filled = {name: str(value).strip() for name, value in given.items() if str(value).strip()}
    found: dict[str, Any] = {name: filled[name] for name in TEXTS if name in filled}
    found |= {name: value_of(filled[name]) for name in NUMBERS if name in filled}
    if "symbols" in filled:
        found["symbols"] = filled["symbols"].upper().replace(",", " ").split()
    if "settings" in filled:
        found["settings"] = assigned("settings", filled["settings"].split())
    if "space" in filled:
        found["space"] = ranges("space", filled["space"].split())
    return found


def _refusal(error: Exception) -> dict[str, str]:
    if isinstance(error, BadParameter):
        return {"field": error.field, "text": f"got {error.value!r}, allowed: {error.allowed}"}
    return {"field": "", "text": str(error)}


def _one(backtest_id: int) -> dict[str, Any]:
    row = get_object_or_404(Backtest, pk=backtest_id)
    context: dict[str, Any] = {"row": row, "standing": standing_of(row)}
    if row.state == BacktestState.COMPLETED:
        context["report"] = Report(row)
    context["parameters"] = said(row.parameters)
    return context


def _chosen(request: HttpRequest, *, fewest: int) -> list[Backtest]:
    """Return the completed backtests named in the URL, in its order, each once, five at most."""
    asked = [int(text) for text in dict.fromkeys(request.GET.getlist("id")) if text.isdecimal() and len(text) < 16]
    found = Backtest.objects.filter(state=BacktestState.COMPLETED).in_bulk(asked[:MOST])
    chosen = [found[number] for number in asked[:MOST] if number in found]
    if len(chosen) < fewest:
        raise Http404("no completed backtest is named")
    return chosen
