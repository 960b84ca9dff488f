"""Risk: the switch and its history, the breaker, limits with their use, and the acts on them."""

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from execution.halting.release import statement
from execution.halting.residue import left
from execution.models import AccountDay, HaltProcedure, Strategy
from execution.models.halting import RUNNING, ProcedureState
from marketdata.clock import wall_now
from ops_console.context import frame_of
from ops_console.permissions import Act, requires
from ops_console.snapshot.desk import Desk
from ops_console.use import limit_uses
from ops_console.views.filters import selected_account
from ops_console.views.outcome import outcome
from ops_console.watch_panels import watch_context
from risk.errors import RiskError
from risk.limits import LIMITS
from risk.models import BreakerEvent, Decision, KillSwitchEvent, Limit, LimitChange
from risk.selectors import limit_book
from risk.services import breaker, kill_switch
from risk.services.limits import set_limit
from trading.services.halt_preview import dispatcher_note, silent_seconds

HISTORY = 15


class LimitForm(forms.Form):
    """A limit to set; an empty value removes the override."""

    name = forms.ChoiceField(choices=[(item.name, item.label) for item in LIMITS.values()])
    strategy = forms.CharField(max_length=40, required=False)
    symbol = forms.CharField(max_length=16, required=False)
    value = forms.CharField(max_length=24, required=False)
    reason = forms.CharField(min_length=10, max_length=500)

    def clean_value(self) -> Decimal | None:
        """Read a decimal number exactly as it was typed."""
        text = str(self.cleaned_data["value"]).strip()
        try:
            return Decimal(text) if text else None
        except InvalidOperation:
            raise forms.ValidationError(f"{text!r} is not a number") from None


@require_GET
@requires(Act.READ)
def risk(request: HttpRequest) -> HttpResponse:
    """Show everything that may stop an order."""
    desk = frame_of(request).desk
    for waiting in desk.requests if desk else []:
        waiting.statement = statement(waiting.scope, to_level=waiting.to_level).lines  # type: ignore[attr-defined]
    context: dict[str, Any] = {
        "desk": desk,
        "uses": _uses(desk),
        "overrides": list(Limit.objects.all()[:200]),
        "changes": list(LimitChange.objects.all()[:HISTORY]),
        "switches": list(KillSwitchEvent.objects.all()[:HISTORY]),
        "breakers": list(BreakerEvent.objects.all()[:HISTORY]),
        "requests": desk.requests if desk else [],
        "denied": list(Decision.objects.filter(outcome="denied").defer("case")[:HISTORY]),
        "definitions": list(LIMITS.values()),
        "strategies": list(Strategy.objects.values_list("name", flat=True).order_by("name")),
        **watch_context(desk),
        **_halts(desk),
    }
    return render(request, "ops_console/risk.html", context)


def _halts(desk: Desk | None) -> dict[str, Any]:
    """Return the halts that run and the last that are over, each with what is left of it."""
    running = list(HaltProcedure.objects.filter(state__in=RUNNING).order_by("-pk")[:HISTORY])
    over = HaltProcedure.objects.filter(state__in=[ProcedureState.VERIFIED, ProcedureState.ACCEPTED])
    in_force = [status.event_id for status in (desk.kill or [] if desk else []) if status.engaged]
    shown = [*running, *over.filter(event_id__in=in_force).order_by("-pk")[:HISTORY]]
    for halt in shown:
        halt.rows = left(halt)  # type: ignore[attr-defined]
    return {
        "halts": shown,
        "halt_warning": dispatcher_note(silent_seconds(wall_now())) if running else "",
        "release_wait": kill_switch.release_wait().seconds,
    }


def _uses(desk: Desk | None) -> list[Any]:
    if desk is None or desk.account is None or desk.pnl is None or desk.market_at is None:
        return []
    values = limit_book().resolve(strategy="", symbol="").account
    today = desk.pnl.summary.trading_date
    monday = today - timedelta(days=today.weekday())
    before = AccountDay.objects.filter(account=desk.account, date__lt=monday).order_by("-date").first()
    window = desk.account.rate_window_at
    minute = desk.market_at.replace(second=0, microsecond=0)
    return limit_uses(
        values,
        desk.pnl,
        week_base=before.equity if before else desk.account.starting_cash,
        orders_this_minute=desk.account.rate_window_count if window == minute else 0,
    )


@require_POST
@requires(Act.LIMITS)
def limit_set(request: HttpRequest) -> HttpResponse:
    """Set or remove one override."""
    form = LimitForm(request.POST)
    if not form.is_valid():
        details = [f"{name}: {' '.join(map(str, errors))}" for name, errors in form.errors.items()]
        return outcome(request, "bad", "Nothing was changed.", back="risk", details=details, status=400)
    given = form.cleaned_data
    try:
        change = set_limit(
            name=given["name"],
            value=given["value"],
            strategy=given["strategy"].strip(),
            symbol=given["symbol"].strip().upper(),
            operator=request.user.get_username(),
            reason=given["reason"],
            now=wall_now(),
        )
    except RiskError as error:
        return outcome(request, "bad", str(error), back="risk", status=400)
    new = "removed" if change.new_value is None else f"now {change.new_value.normalize():f}"
    return outcome(request, "good", f"{change.name} is {new}; it binds from the next order on.", back="risk")


@require_POST
@requires(Act.ENGAGE)
def breaker_trip(request: HttpRequest) -> HttpResponse:
    """Let only reducing orders pass."""
    return _turn_breaker(request, breaker.trip, "The breaker is tripped: only orders that reduce pass.")


@require_POST
@requires(Act.RELEASE)
def breaker_reset(request: HttpRequest) -> HttpResponse:
    """Begin the quiet period of a tripped breaker."""
    return _turn_breaker(request, breaker.reset, "The quiet period has begun; trading opens when it is over.")


def _turn_breaker(request: HttpRequest, turn: Any, done: str) -> HttpResponse:
    account = selected_account(request)
    if account is None:
        return outcome(request, "bad", "There is no account, and no breaker.", back="risk", status=409)
    try:
        turn(
            scope=account.scope,
            reason=request.POST.get("reason", ""),
            operator=request.user.get_username(),
            now=wall_now(),
        )
    except RiskError as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    return outcome(request, "good", done, back="risk")
