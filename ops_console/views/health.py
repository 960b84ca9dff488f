"""Health for machines: alive, ready, and allowed to trade; the answers need no log-in and say no secrets."""

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.snapshot.desk import Desk, read_desk
from ops_console.snapshot.header import process_tone


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether requests can be served: the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return _answer(["the database does not answer"])
    return _answer([])


@never_cache
@require_safe
def trade(request: HttpRequest) -> JsonResponse:
    """Say whether an order would have a chance: reconciled, fresh, not halted."""
    return _answer(reasons_against_trading(read_desk(wall_now())))


def reasons_against_trading(desk: Desk) -> list[str]:
    """List what stands between an order and the market."""
    if not desk.database:
        return ["the database does not answer"]
    if desk.account is None:
        return [f"there is no account for the mode {settings.TRADING_MODE}"]
    reasons = [f"the kill switch is engaged: {status.scope}" for status in desk.stops]
    if desk.trading_state in ("reducing", "unknown"):
        reasons.append("the circuit breaker lets only reducing orders pass")
    if desk.account.reconciliation != Account.Reconciliation.CLEAN:
        reasons.append(f"the account is {desk.account.get_reconciliation_display()}")
    silent = [name for name in ("stream", "dispatcher") if process_tone(desk, name) != "good"]
    return reasons + [f"the {name} process gives no sign of life" for name in silent]


def _answer(reasons: list[str]) -> JsonResponse:
    body = {"status": "unavailable", "reasons": reasons} if reasons else {"status": "ok"}
    return JsonResponse(body, status=503 if reasons else 200)
