"""Orders that are worked in slices: how far they have come, and pause, resume, cancel."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from execution.errors import OrderNotOpen, PlanRefused
from execution.models import ParentOrder
from execution.parent_orders import Progress, progress_of
from execution.services.slices import cancel_parent, pause_parent, resume_parent
from execution.slicing.states import PARENT_LIVE
from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.views.filters import page_of, selected_account
from ops_console.views.outcome import outcome

HUNDRED = Decimal(100)
NEWEST_EVENTS = 200
TONES = {"completed": "good", "failed": "bad", "paused": "warn", "active": "working"}


@dataclass(frozen=True, slots=True)
class Line:
    """A parent with its progress in percent of the whole: done, and done or open."""

    parent: ParentOrder
    done: Progress
    due_pct: int

    @property
    def filled_pct(self) -> int:
        """Return how much has filled."""
        return int(self.done.filled * HUNDRED / self.parent.quantity)

    @property
    def open(self) -> Decimal:
        """Return the shares that may still trade."""
        return self.done.open

    @property
    def left(self) -> Decimal:
        """Return the shares that are neither filled nor open."""
        return self.done.left(self.parent.quantity)

    @property
    def tone(self) -> str:
        """Return the colour of its status."""
        return TONES.get(str(self.parent.status), "")


@require_GET
@requires(Act.READ)
def working(request: HttpRequest) -> HttpResponse:
    """List orders that are worked in slices, the live ones unless all are asked for."""
    account = selected_account(request)
    only_live = request.GET.get("status", "live") != "all"
    found = ParentOrder.objects.filter(account=account).select_related("strategy", "instrument", "account__feed")
    if only_live:
        found = found.filter(status__in=sorted(PARENT_LIVE))
    page = page_of(request, found.order_by("-id"))
    lines = lines_of([row for row in page if isinstance(row, ParentOrder)])
    context = {"account": account, "page": page, "lines": lines, "only_live": only_live}
    return render(request, "ops_console/slices.html", context)


@require_GET
@requires(Act.READ)
def parent(request: HttpRequest, parent_id: int) -> HttpResponse:
    """Show one order with its plan, its orders and everything that happened."""
    related = ("account__feed", "strategy", "instrument")
    found = get_object_or_404(ParentOrder.objects.select_related(*related), pk=parent_id)
    context = {
        "parent": found,
        "line": lines_of([found])[0],
        "slices": list(found.slices.select_related("order").order_by("due_at", "number")),
        "events": list(found.events.order_by("-id")[:NEWEST_EVENTS]),
    }
    return render(request, "ops_console/parent.html", context)


@require_POST
@requires(Act.CANCEL)
def pause(request: HttpRequest, parent_id: int) -> HttpResponse:
    """Send nothing more for now, and cancel what is open."""
    return _steer(request, parent_id, pause_parent, "It is paused; its open orders are being canceled.")


@require_POST
@requires(Act.CANCEL)
def cancel(request: HttpRequest, parent_id: int) -> HttpResponse:
    """Send nothing more of it, and cancel what is open."""
    return _steer(request, parent_id, cancel_parent, "It is canceled; cancels of its open orders are on their way.")


@require_POST
@requires(Act.CANCEL)
def resume(request: HttpRequest, parent_id: int) -> HttpResponse:
    """Plan the rest anew and go on."""
    found = _find(parent_id)
    try:
        _, denials = resume_parent(parent=found, operator=request.user.get_username(), wall_now=wall_now())
    except (OrderNotOpen, PlanRefused) as error:
        return outcome(request, "bad", str(error), back="slices", status=409)
    if denials:
        details = [denial.message for denial in denials]
        return outcome(request, "bad", "It stays paused.", back="slices", details=details, status=409)
    return outcome(request, "good", "It goes on; the rest was planned anew.", back="slices")


def lines_of(parents: list[ParentOrder]) -> list[Line]:
    """Return parents with their progress. One query."""
    done = progress_of(parent.pk for parent in parents)
    now = wall_now()
    return [Line(each, done.get(each.pk, Progress()), _passed(each, now)) for each in parents]


def _passed(parent: ParentOrder, now: Any) -> int:
    """Return how much of its window has passed, in percent."""
    at = parent.account.feed.market_now(now)
    whole = parent.ends_at - parent.starts_at
    return min(max(int((at - parent.starts_at) * 100 / whole), 0), 100)


def _find(parent_id: int) -> ParentOrder:
    related = ("account__feed", "strategy", "instrument")
    return get_object_or_404(ParentOrder.objects.select_related(*related), pk=parent_id)


def _steer(request: HttpRequest, parent_id: int, steer: Any, done: str) -> HttpResponse:
    try:
        steer(
            parent=_find(parent_id),
            operator=request.user.get_username(),
            wall_now=wall_now(),
            reason=f"asked for in the console by {request.user.get_username()}",
        )
    except OrderNotOpen as error:
        return outcome(request, "bad", str(error), back="slices", status=409)
    return outcome(request, "good", done, back="slices")
