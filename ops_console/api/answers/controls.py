"""Kill switch, breaker, limits and where risk stands."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rest_framework import serializers

from execution.models import Account
from execution.selectors import AccountSummary
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, names_of
from ops_console.api.openapi import LIMIT_NAMES
from risk.limits import LimitDefinition
from risk.models import Limit, ReleaseRequest
from risk.selectors import BreakerStatus, KillSwitchStatus
from risk.services.kill_switch import release_wait
from risk.states import BreakerState, SwitchLevel
from risk.types import LimitValues

HUNDRED = Decimal(100)
PERCENT = Decimal("0.01")


class ScopeSerializer(Shape):
    """The kill switch of one scope."""

    scope = serializers.CharField(help_text="global, strategy:NAME, symbol:NAME or account:NAME")
    engaged = serializers.BooleanField()
    level = serializers.ChoiceField(choices=SwitchLevel.choices, help_text="In force; active when it is off.")
    operator = serializers.CharField(allow_blank=True)
    second_operator = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    source = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    at = Instant(allow_null=True, help_text="Wall time.")


class ReleaseRequestSerializer(Shape):
    """A release that waits for another operator."""

    approval_id = serializers.IntegerField()
    scope = serializers.CharField()
    requested_by = serializers.CharField()
    reason = serializers.CharField()
    to_level = serializers.ChoiceField(choices=SwitchLevel.choices, help_text="What is to be in force then.")
    requested_at = Instant()
    approvable_at = Instant(help_text="Not before that time.")
    expires_at = Instant()
    releases = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="What it lets loose and what not, when it is asked for.",
    )


class BreakerSerializer(Shape):
    """The account's circuit breaker now."""

    scope = serializers.CharField()
    state = serializers.ChoiceField(choices=BreakerState.choices, help_text="open means trading")
    cause = serializers.CharField()
    reason = serializers.CharField()
    operator = serializers.CharField(allow_blank=True)
    at = Instant(allow_null=True, help_text="Wall time.")
    quiet_until = Instant(allow_null=True, help_text="Wall time.")


class OverrideSerializer(Shape):
    """A value that overrides the default; an empty strategy or symbol means all."""

    strategy = serializers.CharField(allow_blank=True)
    symbol = serializers.CharField(allow_blank=True)
    value = DecimalText()


class LimitSerializer(Shape):
    """One limit: the value in force for what was asked, and where it comes from."""

    name = serializers.ChoiceField(choices=LIMIT_NAMES)
    label = serializers.CharField()  # type: ignore[assignment]
    unit = serializers.CharField()
    value = DecimalText(help_text="In force for the strategy and symbol that were asked for.")
    account_value = DecimalText(help_text="In force for the sum over all strategies.")
    soft_value = NullableDecimalText(
        help_text="What passes it is accepted with a warning; 0 warns of nothing, null where there is none."
    )
    default = DecimalText()
    minimum = DecimalText()
    maximum = DecimalText()
    overrides = OverrideSerializer(many=True)


class LimitsSerializer(Shape):
    """All limits at one version."""

    version = serializers.IntegerField(help_text="Id of the newest change.")
    limits = LimitSerializer(many=True)


class UtilisationSerializer(Shape):
    """How much of a limit is used."""

    limit = serializers.ChoiceField(choices=LIMIT_NAMES)
    used = DecimalText()
    value = DecimalText()
    headroom = DecimalText(help_text="Negative when the limit is exceeded.")
    used_pct = NullableDecimalText(help_text="Null when the limit is 0.")


class DenialCountSerializer(Shape):
    """Denials of one rule."""

    code = serializers.CharField()
    count = serializers.IntegerField()


class RiskSummarySerializer(Shape):
    """May we trade, and how near are the limits."""

    may_trade = serializers.BooleanField()
    kill_switch = ScopeSerializer(many=True)
    breaker = BreakerSerializer()
    reconciliation = serializers.CharField()
    market_at = Instant(help_text="Market time.")
    utilisation = UtilisationSerializer(many=True)
    denials_24h = DenialCountSerializer(
        many=True, help_text="Of the last 24 hours of wall time, at most the newest 10,000 decisions."
    )


def scope_answer(status: KillSwitchStatus) -> Answer:
    """Return one scope."""
    return {name: getattr(status, name) for name in names_of(ScopeSerializer)}


def request_answer(request: ReleaseRequest) -> Answer:
    """Return one waiting release."""
    return {
        "approval_id": request.pk,
        "scope": request.scope,
        "requested_by": request.requested_by,
        "reason": request.reason,
        "requested_at": request.requested_at,
        "expires_at": request.expires_at,
        "to_level": request.to_level,
        "approvable_at": request.requested_at + release_wait(),
    }


def breaker_answer(status: BreakerStatus) -> Answer:
    """Return the breaker."""
    return {name: getattr(status, name) for name in BREAKER_NAMES}


BREAKER_NAMES = names_of(BreakerSerializer)


def limit_answer(
    definition: LimitDefinition,
    *,
    effective: Decimal,
    account: Decimal,
    soft: Decimal | None,
    default: Decimal,
    overrides: Sequence[Limit],
) -> Answer:
    """Return one limit."""
    return {
        "name": definition.name,
        "label": definition.label,
        "unit": definition.unit,
        "value": effective,
        "account_value": account,
        "soft_value": soft,
        "default": default,
        "minimum": definition.minimum,
        "maximum": definition.maximum,
        "overrides": [{"strategy": row.strategy, "symbol": row.symbol, "value": row.value} for row in overrides],
    }


def utilisation_answer(summary: AccountSummary, limits: LimitValues, *, equity_base: Decimal) -> list[Answer]:
    """Return how much of the account's limits is used."""
    loss = max(Decimal(0), -summary.day_pnl)
    loss_pct = (loss / equity_base * HUNDRED).quantize(PERCENT) if equity_base > 0 else HUNDRED
    used = {
        "max_gross_notional": summary.gross_exposure,
        "max_net_notional": abs(summary.net_exposure),
        "max_names": Decimal(summary.names),
        "max_open_orders": Decimal(summary.open_orders),
        "daily_loss_pct": loss_pct,
    }
    return [_utilisation(name, amount, getattr(limits, name)) for name, amount in used.items()]


def _utilisation(name: str, used: Decimal, value: Decimal) -> Answer:
    return {
        "limit": name,
        "used": used,
        "value": value,
        "headroom": value - used,
        "used_pct": (used / value * HUNDRED).quantize(PERCENT) if value else None,
    }


def risk_summary_answer(
    *,
    account: Account,
    statuses: Sequence[KillSwitchStatus],
    breaker: BreakerStatus,
    market_at: datetime,
    utilisation: list[Answer],
    denials: dict[str, int],
) -> Answer:
    """Return whether we may trade, and how near the limits are."""
    halted = any(status.engaged and status.scope in {"global", account.scope} for status in statuses)
    clean = account.reconciliation == Account.Reconciliation.CLEAN
    return {
        "may_trade": not halted and breaker.state == BreakerState.OPEN and clean,
        "kill_switch": [scope_answer(status) for status in statuses],
        "breaker": breaker_answer(breaker),
        "reconciliation": account.reconciliation,
        "market_at": market_at,
        "utilisation": utilisation,
        "denials_24h": [{"code": code, "count": count} for code, count in sorted(denials.items())],
    }
