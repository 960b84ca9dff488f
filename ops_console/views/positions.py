"""What is held, by account and strategy."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from execution.models import Account
from execution.selectors import realtime_pnl
from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.snapshot import tables
from ops_console.snapshot.board import Topic
from ops_console.views.filters import selected_account


@require_GET
@requires(Act.READ)
def positions(request: HttpRequest) -> HttpResponse:
    """Show position lines with the account's totals; only the desk's own table is live."""
    account = selected_account(request)
    chosen = request.GET.get("strategy", "")[:40]
    context: dict[str, object] = {"account": account, "chosen": chosen, "board": {"positions": Topic(rows={})}}
    if account is not None:
        now = wall_now()
        pnl = realtime_pnl(account, now)
        pnl.positions[:] = [line for line in pnl.positions if chosen in ("", line.strategy)]
        context |= {
            "summary": pnl.summary,
            "strategies": sorted(pnl.by_strategy),
            "board": {"positions": tables.positions(pnl, account.feed.market_now(now))},
            "is_live": account.kind == Account.Kind.DESK and not chosen,
        }
    context["accounts"] = list(Account.objects.values_list("name", flat=True).order_by("kind", "-id")[:30])
    return render(request, "ops_console/positions.html", context)
