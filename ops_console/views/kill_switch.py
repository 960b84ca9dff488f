"""The kill switch from the console: counted first, one step to stop, two people to release."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from execution.errors import ExecutionError
from execution.halting.release import approve_release as approve
from execution.halting.release import require_over, statement
from execution.halting.residue import accept
from execution.selectors import desk_account
from execution.services.halt import engage_kill_switch
from execution.types import HaltReport
from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.views.outcome import outcome
from risk.errors import RiskError
from risk.models import GLOBAL_SCOPE, KillSwitchEvent
from risk.services import kill_switch
from risk.states import SwitchLevel
from risk.stops import LADDER
from trading.services.halt_preview import dispatcher_note, preview, silent_seconds

CONSOLE = KillSwitchEvent.Source.CONSOLE
REFUSALS = (RiskError, ExecutionError)
STOPPED = {
    SwitchLevel.REDUCING: "Only orders that reduce a position pass.",
    SwitchLevel.HALTED: "Trading is stopped.",
    SwitchLevel.FLATTENING: "Trading is stopped; positions are closed once the cancels are done.",
}


@require_GET
@requires(Act.READ)
def consequence(request: HttpRequest) -> HttpResponse:
    """Count what engaging would touch, at the moment of asking."""
    try:
        found = preview(
            scope=request.GET.get("scope", GLOBAL_SCOPE),
            level=request.GET.get("level", SwitchLevel.HALTED),
            account=desk_account(str(settings.TRADING_MODE)),
            wall_now=wall_now(),
            at_open=request.GET.get("at_open") == "on",
        )
    except RiskError as error:
        return outcome(request, "bad", str(error), back="overview", status=400)
    rung = LADDER[SwitchLevel(found.level_then)]
    return render(request, "ops_console/panels/consequence.html", {"found": found, "cancels": rung.cancels.value})


@require_POST
@requires(Act.ENGAGE)
def engage(request: HttpRequest) -> HttpResponse:
    """Stop trading, then cancel what is open; says what was cancelled."""
    try:
        report = engage_kill_switch(
            scope=request.POST.get("scope", GLOBAL_SCOPE),
            operator=request.user.get_username(),
            reason=request.POST.get("reason", ""),
            source=CONSOLE,
            wall_now=wall_now(),
            level=request.POST.get("level", SwitchLevel.HALTED),
            everything=request.POST.get("everything") == "on",
            at_open=request.POST.get("at_open") == "on",
        )
    except RiskError as error:
        return outcome(request, "bad", f"Nothing was stopped: {error}", back="overview", status=400)
    again = "It was engaged already; open orders were cancelled again."
    text = again if report.already_engaged else STOPPED[SwitchLevel(report.level)]
    return outcome(request, "good", text, back="overview", details=_details(report, request.POST.get("counted", "")))


def _details(report: HaltReport, counted: str) -> list[str]:
    unsent, asked = report.canceled_unsent, report.cancel_requested
    lines = []
    if not unsent + asked:
        lines.append("No order was open." if report.level != SwitchLevel.REDUCING else "No order had to go.")
    if unsent:
        lines.append(f"{unsent} canceled before {'it was' if unsent == 1 else 'they were'} sent.")
    if asked:
        lines.append(f"{asked} {'cancel is' if asked == 1 else 'cancels are'} on the way to the broker.")
    if counted.isdecimal() and int(counted) != unsent + asked and report.level != SwitchLevel.REDUCING:
        lines.append(f"{int(counted)} were open when you were asked, {unsent + asked} when it was done.")
    if report.paused_parents:
        lines.append(f"{report.paused_parents} orders in slices are paused; each is resumed by hand.")
    if report.level != SwitchLevel.REDUCING:
        lines.append("Whether the broker agrees is shown on the risk page, with what is left.")
    note = dispatcher_note(silent_seconds(wall_now()))
    return [*lines, note.capitalize()] if note else lines


@require_POST
@requires(Act.RELEASE)
def request_release(request: HttpRequest) -> HttpResponse:
    """Ask for a release; nothing changes before another operator approves."""
    scope = request.POST.get("scope", GLOBAL_SCOPE)
    try:
        kill_switch.require_scope(scope)
        kill_switch.require_word(scope, request.POST.get("word", ""))
    except RiskError as error:
        return outcome(request, "bad", f"Nothing was asked: {error}", back="risk", status=400)
    try:
        require_over(scope)
        asked = kill_switch.request_release(
            scope=scope,
            operator=request.user.get_username(),
            reason=request.POST.get("reason", ""),
            now=wall_now(),
            to_level=request.POST.get("to_level", SwitchLevel.ACTIVE),
        )
    except REFUSALS as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    ready = asked.requested_at + kill_switch.release_wait()
    text = (
        f"Asked for. Another operator has to approve it between {ready:%H:%M:%S} and {asked.expires_at:%H:%M:%S} UTC."
    )
    return outcome(request, "good", text, back="risk", details=statement(scope, to_level=asked.to_level).lines)


@require_POST
@requires(Act.RELEASE)
def approve_release(request: HttpRequest, request_id: int) -> HttpResponse:
    """Release the switch as the second person."""
    try:
        event = approve(
            request_id=request_id, operator=request.user.get_username(), source=CONSOLE, wall_now=wall_now()
        )
    except REFUSALS as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    return outcome(request, "good", f"Released: {event.scope} may trade again.", back="risk")


@require_POST
@requires(Act.RELEASE)
def reject_release(request: HttpRequest, request_id: int) -> HttpResponse:
    """Turn a request down."""
    try:
        kill_switch.reject_release(request_id=request_id, operator=request.user.get_username(), now=wall_now())
    except RiskError as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    return outcome(request, "good", "Turned down; the kill switch stays engaged.", back="risk")


@require_POST
@requires(Act.RELEASE)
def accept_residue(request: HttpRequest, halt_id: int) -> HttpResponse:
    """Take one thing that a halt has left as it is."""
    try:
        row = accept(
            procedure_id=halt_id,
            name=request.POST.get("name", ""),
            operator=request.user.get_username(),
            reason=request.POST.get("reason", ""),
            wall_now=wall_now(),
        )
    except REFUSALS as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    return outcome(request, "good", f"Accepted as it is: {row.kind} {row.name}.", back="risk")
