"""The front page: what is wrong, what we have, what moves."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from execution.models import AccountDay
from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.snapshot import read_board
from ops_console.views.filters import selected_account


@require_GET
@requires(Act.READ)
def overview(request: HttpRequest) -> HttpResponse:
    """Show the whole board as it is now; the socket goes on from there."""
    return render(request, "ops_console/overview.html", {"board": read_board(wall_now())})


@require_GET
@requires(Act.READ)
def equity_curve(request: HttpRequest) -> JsonResponse:
    """Return closing equity by session, as the chart wants it: oldest first, dates as text, money as text."""
    account = selected_account(request)
    days = AccountDay.objects.filter(account=account).order_by("date").values_list("date", "equity", "pnl")
    start = None if account is None else f"{account.starting_cash:.2f}"
    points = [{"date": f"{day:%Y-%m-%d}", "equity": f"{equity:.2f}", "pnl": f"{pnl:.2f}"} for day, equity, pnl in days]
    return JsonResponse({"start": start, "points": points}, headers={"Cache-Control": "no-store"})
