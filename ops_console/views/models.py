"""Models: the versions of each strategy, one version whole, and the acts that change which one trades."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from marketdata.clock import wall_now
from ops_console.figures import NOTHING
from ops_console.permissions import Act, requires
from ops_console.shadow_lines import ShadowLine, shadow_lines
from ops_console.views.filters import page_of
from ops_console.views.outcome import outcome
from signals import registry
from signals.models import ModelApproval, ModelEvent, ModelVersion
from signals.registry.activation import before
from signals.states import MODEL_TRANSITIONS, ApprovalState, ModelStatus

TONES = {ModelStatus.ACTIVE: "good", ModelStatus.SHADOW: "working", ModelStatus.CANDIDATE: "warn"}
SPLITS = (("train", "Train"), ("valid", "Validation"), ("test", "Test"))
MOST_FEATURES = 25
MOST_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A version as a row shows it; figures of the test split, ready to be read."""

    version: ModelVersion
    rank_ic: str
    icir: str
    sharpe: str
    turnover: str
    days: int
    tone: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """A strategy's versions, where a roll-back would lead, and its shadows beside the active one."""

    strategy: str
    active: ModelVersion | None
    earlier: ModelVersion | None
    shadows: list[ShadowLine]


@require_GET
@requires(Act.READ)
def models(request: HttpRequest) -> HttpResponse:
    """List the versions, newest first, with what is active and what waits for approval."""
    found = registry.model_versions()
    strategies = list(found.order_by("strategy").values_list("strategy", flat=True).distinct())
    chosen = request.GET.get("strategy", "")
    if chosen:
        found = found.filter(strategy=chosen)
    page = page_of(request, found.order_by("-pk"))
    context = {
        "page": page,
        "lines": [line_of(row) for row in page if isinstance(row, ModelVersion)],
        "shelves": [_shelf(name) for name in strategies if not chosen or name == chosen],
        "strategies": strategies,
        "chosen": chosen,
        "requests": _waiting(),
        "two": registry.needs_two_people(),
    }
    return render(request, "ops_console/models.html", context)


@require_GET
@requires(Act.READ)
def model(request: HttpRequest, model_id: int) -> HttpResponse:
    """Show one version: how good it is, what it looks at, what it was made from, what was done to it."""
    found = get_object_or_404(ModelVersion.objects.defer("golden"), pk=model_id)
    allowed = MODEL_TRANSITIONS[found.status]
    context = {
        "model": found,
        "line": line_of(found),
        "splits": [_split(found, name, title) for name, title in SPLITS],
        "decay": _decay(found),
        "quantiles": _quantiles(found),
        "importance": _importance(found),
        "parameters": sorted(found.parameters.items()),
        "events": list(ModelEvent.objects.filter(version=found).order_by("-id")[:MOST_EVENTS]),
        "requests": _waiting(version=found),
        "earlier": before(found) if found.status == ModelStatus.ACTIVE else None,
        "may_activate": ModelStatus.ACTIVE in allowed,
        "may_shadow": ModelStatus.SHADOW in allowed,
        "may_retire": ModelStatus.RETIRED in allowed,
        "two": registry.needs_two_people(),
    }
    return render(request, "ops_console/model.html", context)


@require_GET
@requires(Act.READ)
def ic_curve(request: HttpRequest, model_id: int) -> JsonResponse:
    """Return the running sum of the daily rank IC of each split, as the chart wants it."""
    found = get_object_or_404(ModelVersion.objects.only("metrics"), pk=model_id)
    curves = {name: found.metrics.get(name, {}).get("rank_ic_curve", []) for name, _ in SPLITS}
    return JsonResponse({"splits": curves})


@require_POST
@requires(Act.RELEASE)
def activate(request: HttpRequest, model_id: int) -> HttpResponse:
    """Let a version trade, or ask for it where another person has to agree."""
    word = _word(request)
    try:
        if registry.needs_two_people():
            asked = registry.request_activation(model_id, **word)
            told = f"Asked for: another person has to approve it before {asked.expires_at:%Y-%m-%d %H:%M} UTC."
            return outcome(request, "warn", told, back="models")
        version = registry.activate(model_id, **word)
    except registry.ModelError as error:
        return _refused(request, error)
    return outcome(request, "good", f"{version} is active; every process uses it within seconds.", back="models")


@require_POST
@requires(Act.RELEASE)
def shadow(request: HttpRequest, model_id: int) -> HttpResponse:
    """Let a version score without trading."""
    return _step(request, registry.shadow, model_id, "{} scores every run from now on and does not trade.")


@require_POST
@requires(Act.RELEASE)
def retire(request: HttpRequest, model_id: int) -> HttpResponse:
    """Take a version out of use."""
    return _step(request, registry.retire, model_id, "{} is retired.")


@require_POST
@requires(Act.RELEASE)
def rollback(request: HttpRequest, strategy: str) -> HttpResponse:
    """Go back to the version that was active before."""
    return _step(request, registry.rollback, strategy, "{} is active again; every process uses it within seconds.")


@require_POST
@requires(Act.RELEASE)
def approve(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Carry out what another person asked for."""
    try:
        version = registry.approve_activation(approval_id, actor=request.user.get_username(), now=wall_now())
    except registry.ModelError as error:
        return _refused(request, error)
    return outcome(request, "good", f"{version} is active; every process uses it within seconds.", back="models")


@require_POST
@requires(Act.RELEASE)
def reject(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Turn a request down."""
    try:
        registry.reject_activation(approval_id, actor=request.user.get_username(), now=wall_now())
    except registry.ModelError as error:
        return _refused(request, error)
    return outcome(request, "good", "The request is turned down; nothing has changed.", back="models")


def line_of(version: ModelVersion) -> Line:
    """Return a version with the figures of its test split."""
    test = version.metrics.get("test", {})
    rank_ic = test.get("rank_ic", {})
    return Line(
        version=version,
        rank_ic=signed(rank_ic.get("mean"), 4),
        icir=signed(rank_ic.get("icir"), 3),
        sharpe=signed(test.get("top_minus_bottom", {}).get("sharpe"), 2),
        turnover=percent(test.get("turnover", {}).get("mean")),
        days=int(rank_ic.get("days") or 0),
        tone=TONES.get(ModelStatus(version.status), ""),
    )


def signed(value: Any, digits: int) -> str:
    """Write a research figure with its sign; a dash where there is none."""
    return NOTHING if value is None else f"{float(value):+.{digits}f}".replace("-", "\u2212")


def percent(value: Any) -> str:
    """Write a share in percent; a dash where there is none."""
    return NOTHING if value is None else f"{100 * float(value):.1f}%"


def _step(request: HttpRequest, step: Callable[..., ModelVersion], of: Any, done: str) -> HttpResponse:
    try:
        version = step(of, **_word(request))
    except registry.ModelError as error:
        return _refused(request, error)
    return outcome(request, "good", done.format(version), back="models")


def _word(request: HttpRequest) -> dict[str, Any]:
    return {"actor": request.user.get_username(), "reason": request.POST.get("reason", ""), "now": wall_now()}


def _refused(request: HttpRequest, error: registry.ModelError) -> HttpResponse:
    status = 404 if isinstance(error, registry.UnknownModelError) else 409
    return outcome(request, "bad", "Nothing was changed.", back="models", details=[str(error)], status=status)


def _shelf(strategy: str) -> Shelf:
    versions = registry.model_versions(strategy=strategy)
    active = versions.filter(status=ModelStatus.ACTIVE).first()
    return Shelf(strategy, active, None if active is None else before(active), shadow_lines(strategy))


def _waiting(version: ModelVersion | None = None) -> list[ModelApproval]:
    found = ModelApproval.objects.filter(state=ApprovalState.PENDING, expires_at__gt=wall_now())
    if version is not None:
        found = found.filter(version=version)
    return list(found.select_related("version").order_by("expires_at")[:MOST_EVENTS])


def _split(version: ModelVersion, name: str, title: str) -> dict[str, Any]:
    told, dates = version.metrics.get(name, {}), version.splits.get(name, {})
    rank_ic, spread = told.get("rank_ic", {}), told.get("top_minus_bottom", {})
    return {
        "title": title,
        "from": dates.get("start", NOTHING),
        "to": dates.get("end", NOTHING),
        "rows": told.get("rows", 0),
        "days": rank_ic.get("days", 0),
        "ic": signed(told.get("ic", {}).get("mean"), 4),
        "rank_ic": signed(rank_ic.get("mean"), 4),
        "icir": signed(rank_ic.get("icir"), 3),
        "t": signed(rank_ic.get("t"), 1),
        "sharpe": signed(spread.get("sharpe"), 2),
        "spread_days": spread.get("days", 0),
        "turnover": percent(told.get("turnover", {}).get("mean")),
    }


def _decay(version: ModelVersion) -> list[dict[str, Any]]:
    """Return the rank IC by sessions held, a row each, of every split."""
    held = sorted(version.metrics.get("test", {}).get("ic_decay", {}), key=int)
    return [
        {
            "held": sessions,
            "cells": [
                signed(version.metrics.get(name, {}).get("ic_decay", {}).get(sessions, {}).get("mean"), 4)
                for name, _ in SPLITS
            ],
            "days": version.metrics["test"]["ic_decay"][sessions].get("days", 0),
        }
        for sessions in held
    ]


def _quantiles(version: ModelVersion) -> list[dict[str, Any]]:
    """Return the mean return by quantile, of the test split, in basis points a session."""
    return [
        {
            "quantile": row["quantile"],
            "bps": NOTHING if row["mean"] is None else signed(1e4 * row["mean"], 1),
            "rows": row["rows"],
            "days": row["days"],
        }
        for row in version.metrics.get("test", {}).get("quantiles", [])
    ]


def _importance(version: ModelVersion) -> list[dict[str, Any]]:
    """Return the features that gained most, with their share of the best one's gain in percent."""
    rows = sorted(version.importance.items(), key=lambda item: (-item[1]["gain"], item[0]))[:MOST_FEATURES]
    most = rows[0][1]["gain"] if rows else 0.0
    total = sum(row["gain"] for row in version.importance.values())
    return [
        {
            "name": name,
            "share": percent(row["gain"] / total) if total else NOTHING,
            "bar": round(100 * row["gain"] / most) if most else 0,
            "splits": row["splits"],
        }
        for name, row in rows
        if row["splits"]
    ]
