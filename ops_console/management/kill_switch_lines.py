"""How the command of the kill switch tells what it did: lines for people, documents for programs."""

from typing import Any

from execution.halting.release import statement
from execution.types import HaltReport
from risk.models import ReleaseRequest
from risk.selectors import KillSwitchStatus
from risk.services.kill_switch import release_wait
from risk.states import SwitchLevel
from trading.services.halt_preview import HaltPreview

PASSES: dict[SwitchLevel, str] = {
    SwitchLevel.ACTIVE: "orders pass the gate",
    SwitchLevel.REDUCING: "only orders that reduce a position pass",
    SwitchLevel.HALTED: "no order passes",
    SwitchLevel.FLATTENING: "no order passes, positions are closed",
}


def halt_dict(scope: str, operator: str, report: HaltReport) -> dict[str, Any]:
    """Return what an engage did, for programs."""
    return {
        "scope": scope,
        "engaged": True,
        "operator": operator,
        "event_id": report.event_id,
        "already_engaged": report.already_engaged,
        "canceled_unsent": report.canceled_unsent,
        "cancel_requested": report.cancel_requested,
        "level": report.level,
        "halt": report.procedure_id,
        "paused_parents": report.paused_parents,
    }


def halt_lines(scope: str, operator: str, report: HaltReport) -> list[str]:
    """Say what an engage did."""
    before = " (it was engaged before)" if report.already_engaged else ""
    lines = [
        f"ENGAGED {scope} by {operator}{before}: {PASSES[SwitchLevel(report.level)]} from now on.",
        f"  canceled before they were sent: {report.canceled_unsent}",
        f"  to be canceled at the broker by the dispatcher: {report.cancel_requested}",
    ]
    return [*lines, "  what is still open: manage.py status"] if report.cancel_requested else lines


def request_dict(request: ReleaseRequest) -> dict[str, Any]:
    """Return a release that waits for the second person, for programs."""
    return {
        "scope": request.scope,
        "engaged": True,
        "request_id": request.pk,
        "approvable_at": request.requested_at + release_wait(),
        "expires_at": request.expires_at,
        "releases": statement(request.scope, to_level=request.to_level).lines,
    }


def request_lines(request: ReleaseRequest) -> list[str]:
    """Say that a release waits for the second person, and what it would let loose."""
    ready = request.requested_at + release_wait()
    return [
        f"STILL ENGAGED {request.scope}: release {request.pk}, asked by {request.requested_by}, waits for another "
        f"operator's approval between {ready:%H:%M:%S} and {request.expires_at:%H:%M:%S} UTC.",
        *(f"  {line}" for line in statement(request.scope, to_level=request.to_level).lines),
    ]


def preview_lines(found: HaltPreview) -> list[str]:
    """Return scope and consequence for people."""
    orders = f"{found.open_orders} open orders over {found.open_value:,.2f}"
    lines = [
        f"{found.scope} at {found.level_then} (now {found.level_now}): {PASSES[SwitchLevel(found.level_then)]}",
        f"  {orders}, {found.positions} positions over {found.gross:,.2f} gross",
        f"  {found.parents} orders in slices with {found.parent_shares_left.normalize():f} shares left, "
        f"{found.runs_under_way} runs under way, {found.runs_pending} to come",
    ]
    return [*lines, *(f"  {note}" for note in found.notes)]


def status_dict(status: KillSwitchStatus) -> dict[str, Any]:
    """Return where a scope stands, for programs."""
    return {name: getattr(status, name) for name in status.__dataclass_fields__}


def status_line(status: KillSwitchStatus) -> str:
    """Say where a scope stands."""
    state = f"ENGAGED ({status.level})" if status.engaged else "off"
    if status.at is None:
        return f"{status.scope}: {state} ({status.reason})"
    people = " and ".join(name for name in (status.operator, status.second_operator) if name)
    return f"{status.scope}: {state} since {status.at:%Y-%m-%d %H:%M:%S} UTC by {people}: {status.reason}"
