"""What the lake holds: coverage and freshness by symbol, what was kept out, imports, ticks; and imports asked for."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from execution.selectors import desk_account
from marketdata.calendar import last_closed_session, sessions_between
from marketdata.clock import wall_now
from marketdata.lake import default_lake
from marketdata.models import BarImport, QuarantinedBar, TickLoss
from marketdata.selectors import coverage, missing_sessions
from marketdata.services.ticks import tick_days
from marketdata.types import QuarantineStatus, Timeframe
from ops_console.permissions import Act, requires
from ops_console.views.outcome import outcome
from signals.parameters import BadParameter
from trading.data.tasks import import_folder
from trading.errors import TooManyJobsError
from trading.services import jobs

PAGE_SIZE = 50
SHOWN_GAPS = 6
SHOWN_IMPORTS, SHOWN_TICK_DAYS, SHOWN_LOSSES = 10, 14, 10
ONLY = {"all": "All", "gaps": "With gaps", "stale": "Not up to date", "quarantine": "With bars in quarantine"}


@dataclass(slots=True)
class Line:
    """One symbol. `behind` is in sessions, `gaps` None where they are not counted (minute bars)."""

    symbol: str
    first: date | datetime
    last: date | datetime
    bars: int
    gaps: int | None
    behind: int | None
    quarantined: int
    missing: str = ""


@require_GET
@requires(Act.READ)
def data(request: HttpRequest) -> HttpResponse:
    """Show what is there, by symbol, filtered by the address."""
    timeframe = request.GET.get("timeframe", Timeframe.DAY)
    timeframe = timeframe if timeframe in Timeframe.values else Timeframe.DAY.value
    only = request.GET.get("only", "all")
    chosen = {
        "timeframe": timeframe,
        "only": only if only in ONLY else "all",
        "q": request.GET.get("q", "").strip().upper()[:16],
    }
    newest = _newest_session()
    lines = coverage_lines(timeframe, newest)
    found = [line for line in lines if _matches(line, chosen)]
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    for line in page:
        line.missing = _missing(line) if line.gaps else ""
    context = {
        "page": page,
        "chosen": chosen,
        "timeframes": Timeframe.values,
        "only": ONLY,
        "newest": newest,
        "totals": _totals(lines),
        "size": sum(path.stat().st_size for path in default_lake().files(timeframe)),
        "imports": list(BarImport.objects.all()[:SHOWN_IMPORTS]),
        "ticks": tick_days()[:SHOWN_TICK_DAYS],
        "losses": list(TickLoss.objects.select_related("feed")[:SHOWN_LOSSES]),
        "folder": import_folder(),
        "files": _files(),
    }
    return render(request, "ops_console/data.html", context)


@require_POST
@requires(Act.CANCEL)
def import_bars(request: HttpRequest) -> HttpResponse:
    """Ask for an import; the process `jobs` carries it out."""
    sent = {name: request.POST.get(name, "").strip() for name in ("source", "start", "end", "timeframe", "file")}
    wish: dict[str, Any] = {name: value for name, value in sent.items() if value}
    if symbols := request.POST.get("symbols", "").upper().replace(",", " ").split():
        wish["symbols"] = symbols
    try:
        job = jobs.ask("import", wish, asked_by=request.user.get_username(), now=wall_now())
    except (BadParameter, TooManyJobsError) as error:
        return outcome(request, "bad", str(error), back="data", status=400)
    return redirect("job", job.pk)


def coverage_lines(timeframe: str, newest: date | None) -> list[Line]:
    """Return every symbol with bars, or with bars in quarantine, sorted."""
    kept_out = QuarantinedBar.objects.filter(timeframe=timeframe, status=QuarantineStatus.QUARANTINED)
    quarantined = dict(
        kept_out.order_by().values_list("instrument__symbol").annotate(count=Count("pk")).values_list(
            "instrument__symbol", "count"
        )
    )  # fmt: skip
    daily = timeframe == Timeframe.DAY
    return [
        Line(
            symbol=symbol,
            first=first,
            last=last,
            bars=bars,
            gaps=max(len(sessions_between(first, last)) - bars, 0) if daily else None,
            behind=_behind(last if daily else last.date(), newest),
            quarantined=quarantined.get(symbol, 0),
        )
        for symbol, first, last, bars in coverage(timeframe).iter_rows()
    ]


def _newest_session() -> date | None:
    account = desk_account(str(settings.TRADING_MODE))
    return None if account is None else last_closed_session(account.feed.market_now(wall_now()))


def _behind(last: date, newest: date | None) -> int | None:
    """Return how many closed sessions are later than the last bar; a replay's lake knows more than its market."""
    return None if newest is None else max(len(sessions_between(last, newest)) - 1, 0)


def _matches(line: Line, chosen: dict[str, str]) -> bool:
    kinds = {"gaps": bool(line.gaps), "stale": bool(line.behind), "quarantine": bool(line.quarantined)}
    return kinds.get(chosen["only"], True) and line.symbol.startswith(chosen["q"])


def _missing(line: Line) -> str:
    days = missing_sessions(line.symbol)
    more = len(days) - SHOWN_GAPS
    return ", ".join(day.isoformat() for day in days[:SHOWN_GAPS]) + (f" and {more} more" if more > 0 else "")


def _totals(lines: list[Line]) -> dict[str, int]:
    return {
        "symbols": len(lines),
        "bars": sum(line.bars for line in lines),
        "gaps": sum(line.gaps or 0 for line in lines),
        "stale": sum(1 for line in lines if line.behind),
        "quarantined": sum(line.quarantined for line in lines),
    }


def _files() -> list[str]:
    folder = import_folder()
    return sorted(path.name for path in folder.iterdir() if path.is_file())[:100] if folder.is_dir() else []
