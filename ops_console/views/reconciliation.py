"""How the book stands against the broker's, and what people decide about what differs."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from execution.brokers.base import BrokerError
from execution.brokers.registry import broker_for
from execution.errors import ExecutionError
from execution.models import Account, Break, ReconciliationRun
from execution.reconciliation import deciding
from execution.reconciliation.breaks import live_breaks
from execution.reconciliation.forced import approve_force, may_trade, request_force
from execution.reconciliation.runs import reconcile
from ops_console.api.answers.reconciliation import current_force
from ops_console.api.desk import desk
from ops_console.api.problems import Problem
from ops_console.permissions import Act, requires
from ops_console.views.outcome import outcome
from risk.errors import RiskError
from trading.services.reconciling import is_late

RUNS_SHOWN, PAST_SHOWN = 20, 20
BACK = "reconciliation"
DECISIONS = ("accept", "ignore", "repair")
REFUSALS = (RiskError, ExecutionError, BrokerError, Problem)


@require_GET
@requires(Act.READ)
def reconciliation(request: HttpRequest) -> HttpResponse:
    """Show state, breaks and runs."""
    try:
        now = desk()
    except Problem:
        return render(request, "ops_console/reconciliation.html", {"account": None})
    account = now.account
    context = {
        "account": account,
        "clean": account.reconciliation == Account.Reconciliation.CLEAN,
        "trades": may_trade(account, now.wall_now),
        "late": is_late(account, now.wall_now),
        "breaks": list(live_breaks(account)),
        "past": Break.objects.filter(account=account).exclude(state__in=Break.LIVE)[:PAST_SHOWN],
        "runs": ReconciliationRun.objects.filter(account=account)[:RUNS_SHOWN],
        "forced": current_force(account, now.wall_now),
        "user_name": request.user.get_username(),
    }
    return render(request, "ops_console/reconciliation.html", context)


@require_POST
@requires(Act.CANCEL)
def run_now(request: HttpRequest) -> HttpResponse:
    """Compare at once."""

    def act() -> str:
        now = desk()
        run = reconcile(
            account=now.account,
            broker=broker_for(now.account),
            trigger=ReconciliationRun.Trigger.OPERATOR,
            wall_now=now.wall_now,
            started_by=request.user.get_username(),
        )
        return f"Compared {run.orders_compared} orders and {run.positions_compared} positions: {run.state}."

    return _said(request, act)


@require_POST
@requires(Act.RELEASE)
def decide(request: HttpRequest, break_id: int) -> HttpResponse:
    """Accept, ignore or repair a break."""
    decision, reason = request.POST.get("decision", ""), request.POST.get("reason", "")
    if decision not in DECISIONS:
        text = f"decision {decision!r}: must be one of {', '.join(DECISIONS)}; nothing was decided"
        return outcome(request, "bad", text, back=BACK, status=400)

    def act() -> str:
        now = desk()
        asked: dict[str, Any] = {
            "break_id": break_id,
            "account": now.account,
            "operator": request.user.get_username(),
            "reason": reason,
            "wall_now": now.wall_now,
        }
        if decision == "repair":
            row = deciding.repair(broker=broker_for(now.account), **asked)
        else:
            row = deciding.accept(**asked) if decision == "accept" else deciding.ignore(**asked)
        return f"{row.subject}: {row.get_state_display()}."

    return _said(request, act)


@require_POST
@requires(Act.RELEASE)
def force(request: HttpRequest) -> HttpResponse:
    """Ask that the account may trade without a clean run, or approve what another operator asked."""

    def act() -> str:
        now, operator = desk(), request.user.get_username()
        given = request.POST.get("approval_id", "")
        if given.isascii() and given.isdecimal() and len(given) <= 15:
            approved = approve_force(request_id=int(given), operator=operator, wall_now=now.wall_now)
            return f"The account may trade until {approved.expires_at:%H:%M:%S} UTC."
        request_force(
            account=now.account, operator=operator, reason=request.POST.get("reason", ""), wall_now=now.wall_now
        )
        return "Asked: another operator has to approve within 15 minutes."

    return _said(request, act)


def _said(request: HttpRequest, act: Callable[[], str]) -> HttpResponse:
    try:
        return outcome(request, "good", act(), back=BACK)
    except REFUSALS as refusal:
        return outcome(request, "bad", str(refusal), back=BACK, status=409)
