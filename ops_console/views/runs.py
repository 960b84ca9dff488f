"""Runs: the list, and one run from its signals to its orders."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from execution.models import Account, Order, Strategy
from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.views.filters import page_of, selected_account
from trading import selectors
from trading.models import ReplayRun, Run
from trading.states import RunState, StepName


@require_GET
@requires(Act.READ)
def runs(request: HttpRequest) -> HttpResponse:
    """List runs by the filters in the URL, with the replays beside them."""
    account = selected_account(request)
    chosen = {"strategy": request.GET.get("strategy", ""), "state": request.GET.get("state", "")}
    rows = selectors.runs(account=account, strategy=chosen["strategy"] or None, state=chosen["state"] or None)
    context = {
        "account": account,
        "page": page_of(request, rows if account is not None else Run.objects.none()),
        "chosen": chosen,
        "states": RunState.values,
        "strategies": list(Strategy.objects.values_list("name", flat=True).order_by("name")),
        "accounts": list(Account.objects.values_list("name", flat=True).order_by("kind", "-id")[:30]),
        "replays": list(ReplayRun.objects.select_related("account").order_by("-id")[:8]),
    }
    return render(request, "ops_console/runs.html", context)


@require_GET
@requires(Act.READ)
def run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show one run: its steps in order, its signals, its orders."""
    found = get_object_or_404(Run.objects.select_related("account", "strategy", "signal_set"), pk=run_id)
    done = {step.name: step for step in found.steps.all()}
    signals = [] if found.signal_set is None else list(found.signal_set.signals.select_related("instrument"))
    orders = Order.objects.filter(account=found.account, source_ref=f"run:{found.pk}")
    context = {
        "run": found,
        "steps": [(name, done.get(name)) for name in StepName.values],
        "signals": signals,
        "orders": list(orders.select_related("strategy", "instrument").order_by("-id")[:100]),
        "now": wall_now(),
    }
    return render(request, "ops_console/run.html", context)
