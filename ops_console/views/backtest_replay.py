"""A replay beside a backtest of the same strategy: where they differ, and why, in amounts that add up."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from ops_console.permissions import Act, requires
from signals.backtest.files import BacktestFilesMissing
from signals.models import Backtest, BacktestState
from trading.models import ReplayRun
from trading.replay_difference import Cause, Explained, totals
from trading.services.replay_comparison import (
    Comparison,
    NotComparableError,
    comparable_replays,
    compare_with_replay,
)

LARGEST = 40
CENT = Decimal("0.005")
"""What is less reads as 0.00 on the page."""
TEXTS: dict[Cause, str] = {
    Cause.SIGNAL: "another target weight, or targets renewed on another session",
    Cause.CAPITAL: "the desk sizes on its own capital and profit so far, the backtest on its equity",
    Cause.BUFFER: "the desk keeps a part of the capital in cash",
    Cause.ROUNDING: "the desk trades whole shares",
    Cause.CAPPED: "the desk holds no more shares of a name than it is allowed",
    Cause.SMALL: "trades below the desk's least notional are not made",
    Cause.DENIED: "the gate denied the order",
    Cause.UNFILLED: "not filled in full, or stopped at flat",
    Cause.SIZING: "the desk sizes at the close before, the backtest at the price it trades at",
    Cause.FILL: "what trades won or lost between their price and the close",
    Cause.COSTS: "fees of the desk against the backtest's costs",
    Cause.DIVIDENDS: "paid in cash on the desk, reinvested in the backtest's prices",
    Cause.OTHER: "holdings that differ although neither planned anything",
}


@require_GET
@requires(Act.READ)
def against_replay(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """Show the difference from the replay named in the URL, else from the newest that can be compared."""
    row = get_object_or_404(Backtest, pk=backtest_id)
    if row.state != BacktestState.COMPLETED:
        raise Http404(f"backtest {backtest_id} is {row.state}: there is nothing to compare")
    choices = comparable_replays(row)
    context: dict[str, Any] = {"row": row, "choices": choices}
    chosen = _chosen(request, choices)
    if chosen is not None:
        context["chosen"] = chosen
        try:
            context |= _shown(compare_with_replay(row, chosen), all_of_it=request.GET.get("sessions") == "all")
        except (NotComparableError, BacktestFilesMissing) as error:
            context["refused"] = str(error)
    return render(request, "ops_console/backtest_replay.html", context)


def _chosen(request: HttpRequest, choices: Sequence[ReplayRun]) -> ReplayRun | None:
    asked = request.GET.get("replay", "")
    if not asked:
        return choices[0] if choices else None
    if not asked.isdecimal() or len(asked) > 15:
        raise Http404(f"there is no replay {asked!r}")
    return get_object_or_404(ReplayRun.objects.select_related("account"), pk=int(asked))


def _shown(found: Comparison, *, all_of_it: bool) -> dict[str, Any]:
    sessions = found.sessions
    by_cause = totals(sessions)
    desk, research = (sum(getattr(one, name) for one in sessions) for name in ("desk", "research"))
    residual = sum(one.residual for one in sessions)
    decided = [one for one in sessions if one.same_weights is not None]
    largest = sessions if all_of_it else sorted(sessions, key=lambda one: -abs(one.difference))[:LARGEST]
    return {
        "comparison": found,
        "desk": desk,
        "research": research,
        "difference": desk - research,
        "residual": residual,
        "residual_share": residual / found.capital,
        "lines": [_line(cause, by_cause[cause], found) for cause in Cause if abs(by_cause[cause]) >= CENT],
        "decided": len(decided),
        "agreed": sum(1 for one in decided if not one.other_weights),
        "denied": sum(len(one.denied) for one in decided),
        "sessions": [_session(one) for one in sorted(largest, key=lambda one: one.day)],
        "all_of_it": all_of_it,
        "count": len(sessions),
    }


def _line(cause: Cause, amount: Any, found: Comparison) -> dict[str, Any]:
    return {"cause": str(cause), "text": TEXTS[cause], "amount": amount, "share": amount / found.capital}


def _session(one: Explained) -> dict[str, Any]:
    """Return a session with its two largest causes in words."""
    largest = sorted(one.amounts.items(), key=lambda item: -abs(item[1]))[:2]
    return {
        "day": one.day,
        "desk": one.desk,
        "research": one.research,
        "difference": one.difference,
        "residual": one.residual,
        "largest": [(str(cause), amount) for cause, amount in largest],
        "same": one.same_weights,
        "other": one.other_weights,
        "denied": one.denied,
    }
