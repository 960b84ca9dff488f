"""Limits, and where risk stands beside them."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response

from execution.selectors import account_summary
from marketdata.clock import wall_now
from marketdata.models import Instrument
from ops_console.api import fields
from ops_console.api.answers.controls import (
    LimitsSerializer,
    limit_answer,
    risk_summary_answer,
    utilisation_answer,
)
from ops_console.api.answers.parts import Answer
from ops_console.api.answers.risk import RiskOverviewSerializer, over_limit_answer
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.desk import Desk, desk, known_strategy
from ops_console.api.openapi import documented
from ops_console.api.problems import invalid
from ops_console.scopes import Scope
from risk import selectors
from risk.limits import LIMITS, SETTABLE, SOFT, SOFT_LIMITS, LimitDefinition, in_force
from risk.models import Decision, Limit
from risk.services.limits import set_limit
from risk.states import DecisionOutcome
from trading.services.risk_watch import breaches_in_force, latest_look

FAT_FINGER = ("max_order_quantity", "max_order_notional", "max_order_adv_pct", "price_collar_pct")
DAY = timedelta(hours=24)
MOST_DECISIONS = 10_000
SCOPE_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("Of this strategy; of all when left out."),
    "symbol": fields.symbol(),
}


def limit_field(definition: LimitDefinition) -> fields.Field:
    """Return the field that sets one limit; null removes the override."""
    number = fields.decimal_number(f"{definition.label} ({definition.unit}); null removes the override.")

    def read(raw: Any) -> Decimal:
        value: Decimal = number.read(raw)
        if not definition.minimum <= value <= definition.maximum:
            raise fields.Refused
        return value

    allowed = f"a decimal from {definition.minimum} to {definition.maximum:f} {definition.unit}, or null"
    return number.but(read=read, allowed=allowed, nullable=True)


LIMIT_FIELDS = {name: limit_field(definition) for name, definition in SETTABLE.items()}
COMMON_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(required=True), **SCOPE_FIELDS}
PUT_FIELDS = {**COMMON_FIELDS, **LIMIT_FIELDS}
FAT_FINGER_FIELDS = {**COMMON_FIELDS, **{name: LIMIT_FIELDS[name] for name in FAT_FINGER}}
EXAMPLE = {"strategy": "momentum", "max_order_quantity": "500", "reason": "thin market this week"}


class LimitsView(ApiView):
    """All limits."""

    scopes = {"GET": Scope.READ, "PUT": Scope.RISK}

    @documented("limits_get", "Limits in force", query=SCOPE_FIELDS, answers={200: LimitsSerializer})
    def get(self, request: Request) -> Response:
        """Return every limit for the strategy and symbol that are asked for."""
        wanted = query_of(request, SCOPE_FIELDS)
        return Response(limits_answer(tuple(LIMITS), wanted))

    @documented(
        "limits_put",
        "Change limits",
        description=(
            "Sets every limit that is named, together or not at all; null removes an override. A `soft_` value warns: "
            "without one it is four fifths of the limit."
        ),
        body=PUT_FIELDS,
        example=EXAMPLE,
        answers={200: LimitsSerializer},
    )
    def put(self, request: Request) -> Response:
        """Answer with every limit."""
        values = change(request, PUT_FIELDS, tuple(SETTABLE))
        return Response(limits_answer(tuple(LIMITS), values))


class FatFingerView(ApiView):
    """The limits on a single order."""

    scopes = {"GET": Scope.READ, "PUT": Scope.RISK}

    @documented("fat_finger_get", "Fat-finger thresholds in force", query=SCOPE_FIELDS, answers={200: LimitsSerializer})
    def get(self, request: Request) -> Response:
        """Return the four limits on a single order."""
        return Response(limits_answer(FAT_FINGER, query_of(request, SCOPE_FIELDS)))

    @documented(
        "fat_finger_put",
        "Change fat-finger thresholds",
        description="As changing limits, for the limits on a single order.",
        body=FAT_FINGER_FIELDS,
        example=EXAMPLE,
        answers={200: LimitsSerializer},
    )
    def put(self, request: Request) -> Response:
        """Answer with the four limits."""
        values = change(request, FAT_FINGER_FIELDS, FAT_FINGER)
        return Response(limits_answer(FAT_FINGER, values))


class RiskSummaryView(ApiView):
    """May we trade, and how near are the limits."""

    @documented("risk_summary", "Where risk stands", answers={200: RiskOverviewSerializer})
    def get(self, request: Request) -> Response:
        """Return states, use of the account's limits, and what was denied lately."""
        now = desk()
        summary = account_summary(now.account, now.wall_now)
        limits = selectors.limit_book().resolve(strategy="", symbol="").account
        look = latest_look(now.account)
        watched = {
            "readings": look.readings if look else [],
            "over_limits": [over_limit_answer(row) for row in breaches_in_force(now.account.scope)],
        }
        return Response(
            risk_summary_answer(
                account=now.account,
                statuses=selectors.kill_switch_status(),
                breaker=selectors.breaker_status(now.account.scope, now.wall_now),
                market_at=now.market_now,
                utilisation=utilisation_answer(summary, limits, equity_base=summary.day_base_equity),
                denials=recent_denials(now),
            )
            | watched
        )


def recent_denials(now: Desk) -> dict[str, int]:
    """Return how often each rule denied in the last 24 hours, counted over at most the newest 10,000 decisions."""
    newest = Decision.objects.order_by("-pk").values("pk")[:MOST_DECISIONS]
    rows = (
        Decision.objects.filter(pk__in=newest, account=now.account.name, outcome=DecisionOutcome.DENIED)
        .filter(created_at__gt=now.wall_now - DAY)
        .values_list("codes")
        .annotate(count=Count("pk"))
        .order_by("codes")
    )
    counts: Counter[str] = Counter()
    for codes, count in rows:
        counts.update(dict.fromkeys(codes.split(","), count))
    return dict(counts)


def change(request: Request, allowed: fields.Fields, names: tuple[str, ...]) -> dict[str, Any]:
    """Store every limit that the body names, in one transaction; returns the values read.

    :raises Problem: a field is refused, no limit is named, or strategy or symbol is unknown
    """
    body = body_of(request)
    values = fields.read_fields(body, allowed)
    named = [name for name in names if name in body]
    if not named:
        raise invalid("body", "", f"at least one of {', '.join(names)}")
    require_known(values)
    with transaction.atomic():
        for name in named:
            set_limit(
                name=name,
                value=values[name],
                operator=caller_of(request).username,
                reason=values["reason"],
                now=wall_now(),
                strategy=values["strategy"] or "",
                symbol=values["symbol"] or "",
            )
    return values


def require_known(values: dict[str, Any]) -> None:
    """Refuse a limit for a strategy or symbol that nobody trades: it would look as if it were in force.

    :raises Problem: unknown strategy or symbol
    """
    if values["strategy"]:
        known_strategy(values["strategy"])
    if values["symbol"] and not Instrument.objects.filter(symbol=values["symbol"]).exists():
        raise invalid("symbol", values["symbol"], "the symbol of a known instrument")


def limits_answer(names: tuple[str, ...], wanted: dict[str, Any]) -> Answer:
    """Return limits as they are in force for a strategy and a symbol, and every override."""
    book = selectors.limit_book()
    effective = book.resolve(strategy=wanted["strategy"] or "", symbol=wanted["symbol"] or "", at=wall_now())
    defaults = selectors.default_limits()
    overrides: dict[str, list[Limit]] = {}
    for row in Limit.objects.filter(name__in=names).order_by("strategy", "symbol"):
        overrides.setdefault(row.name, []).append(row)
    return {
        "version": book.version,
        "limits": [
            limit_answer(
                LIMITS[name],
                effective=getattr(effective.strategy, name),
                account=getattr(effective.account, name),
                soft=in_force(effective, f"{SOFT}{name}")[1] if f"{SOFT}{name}" in SOFT_LIMITS else None,
                default=defaults[name],
                overrides=overrides.get(name, []),
            )
            for name in names
        ],
    }
