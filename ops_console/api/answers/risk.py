"""What the watch sees of the breaker's causes, what is over a limit, and what the portfolio may lose."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from ops_console.api.answers.controls import BreakerSerializer, RiskSummarySerializer, breaker_answer
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape
from risk.breaker_rules import Cause, Reading, Verdict
from risk.models import LimitBreach, RiskReading
from risk.portfolio import ExposurePart, PortfolioRisk
from risk.selectors import BreakerStatus
from trading.services.risk_watch.watch import as_row

CENT, FOUR = Decimal("0.01"), Decimal("0.0001")
CAUSES = [(cause.value, cause.value) for cause in Cause]
VERDICTS = [(verdict.value, verdict.value) for verdict in Verdict]


class CauseReadingSerializer(Shape):
    """One cause that trips the breaker by itself: what is seen, and what is allowed."""

    cause = serializers.ChoiceField(choices=CAUSES)
    label = serializers.CharField()  # type: ignore[assignment]
    verdict = serializers.ChoiceField(choices=VERDICTS, help_text="over and unreadable trip")
    observed = NullableDecimalText()
    limit = NullableDecimalText()
    unit = serializers.CharField(allow_blank=True)
    limit_name = serializers.CharField(allow_blank=True, help_text="Which limit sets it.")
    used_pct = NullableDecimalText(help_text="Used part of the limit; null where there is no number.")
    detail = serializers.CharField(allow_blank=True)
    sentence = serializers.CharField(help_text="All of it in a line.")


class BreakerStatusSerializer(BreakerSerializer):
    """The breaker, what the watch saw last, and what would trip it again if it were reset now."""

    looked_at = Instant(allow_null=True, help_text="Wall time of the newest look; null before the first.")
    readings = CauseReadingSerializer(many=True, help_text="As of the newest look.")
    would_trip_again = serializers.ListField(
        child=serializers.CharField(), help_text="Causes that last now, each in a line; empty when none does."
    )


class ExposurePartSerializer(Shape):
    """Value of one part of the book, account currency."""

    name = serializers.CharField()
    long = DecimalText()
    short = DecimalText(help_text="Negative.")
    gross = DecimalText()
    net = DecimalText()


class OverLimitSerializer(Shape):
    """A limit that what is held has passed: the name (or the book) can only be reduced."""

    limit_name = serializers.CharField()
    symbol = serializers.CharField(allow_blank=True, help_text="Empty: the whole book.")
    strategy = serializers.CharField(allow_blank=True, help_text="Empty: all of them together.")
    allowed = DecimalText()
    observed = DecimalText()
    path = serializers.CharField(help_text="What has to go.")
    since = Instant(help_text="Wall time.")
    tries = serializers.IntegerField(help_text="Of the automatic reduction, in a row without effect.")


class RiskOverviewSerializer(RiskSummarySerializer):
    """May we trade, how near are the limits, what is over one, and where the money stands."""

    readings = CauseReadingSerializer(many=True, help_text="Of the breaker's causes, as of the newest look.")
    over_limits = OverLimitSerializer(many=True)


class TailRiskSerializer(Shape):
    """Losses of one day; positive is money lost, account currency."""

    level = DecimalText(help_text="Part of days on which less is lost.")
    historical_var = DecimalText()
    historical_shortfall = DecimalText(help_text="Mean of the days as bad as that, or worse.")
    parametric_var = DecimalText(help_text="Of a normal distribution with the same mean and deviation.")
    parametric_shortfall = DecimalText()


class StressSerializer(Shape):
    """Profit of today's holdings in a scenario, account currency; negative is a loss."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    profit = DecimalText()


class BetaSerializer(Shape):
    """How a name moves with the market."""

    symbol = serializers.CharField()
    beta = DecimalText()


class CorrelationSerializer(Shape):
    """How alike two held names moved; null where one does not move."""

    symbol = serializers.CharField()
    other = serializers.CharField()
    coefficient = NullableDecimalText()


class PortfolioRiskSerializer(Shape):
    """What the holdings may lose, by the daily bars up to the session before."""

    as_of = serializers.DateField(allow_null=True, help_text="Newest session measured; null when nothing is.")
    sessions = serializers.IntegerField(help_text="How many are looked back.")
    covered_pct = DecimalText(help_text="Part of gross exposure with enough history.")
    unmeasured = serializers.ListField(child=serializers.CharField(), help_text="Held names with too little history.")
    equity = DecimalText()
    var_pct = NullableDecimalText(help_text="The larger value at risk at 95%, of equity.")
    max_var_pct = DecimalText(help_text="Limit that warns.")
    tails = TailRiskSerializer(many=True)
    market = serializers.CharField(help_text="What beta is against.")
    portfolio_beta = NullableDecimalText(help_text="Of each unit of gross exposure.")
    betas = BetaSerializer(many=True)
    correlations = CorrelationSerializer(many=True)
    stress = StressSerializer(many=True)
    by_name = ExposurePartSerializer(many=True)
    by_side = ExposurePartSerializer(many=True)
    by_sector = ExposurePartSerializer(many=True)


def breaker_status_answer(status: BreakerStatus, look: RiskReading | None, again: Sequence[Reading]) -> Answer:
    """Return the breaker with what is seen of its causes."""
    return {
        **breaker_answer(status),
        "looked_at": look.evaluated_at if look else None,
        "readings": look.readings if look else [as_row(reading) for reading in again],
        "would_trip_again": [reading.sentence for reading in again if reading.is_over],
    }


def over_limit_answer(row: LimitBreach) -> Answer:
    """Return one breach."""
    names = ("limit_name", "symbol", "strategy", "path", "since", "tries")
    return {
        **{name: getattr(row, name) for name in names},
        "allowed": plain(row.allowed),
        "observed": plain(row.observed),
    }


def exposure_answer(parts: Iterable[ExposurePart]) -> list[Answer]:
    """Return parts of the book."""
    return [
        {"name": part.name, **{side: money(getattr(part, side)) for side in ("long", "short", "gross", "net")}}
        for part in parts
    ]


def portfolio_answer(found: PortfolioRisk, *, equity: Decimal, share: Decimal | None, allowed: Decimal) -> Answer:
    """Return the portfolio's risk; money to the cent, coefficients with four places."""
    return {
        "as_of": found.as_of,
        "sessions": found.sessions,
        "covered_pct": money(found.covered * 100),
        "unmeasured": list(found.unmeasured),
        "equity": money(equity),
        "var_pct": None if share is None else money(share),
        "max_var_pct": plain(allowed),
        "tails": [_tail(tail) for tail in found.tails],
        "market": found.market,
        "portfolio_beta": _four(found.portfolio_beta),
        "betas": [{"symbol": symbol, "beta": _four(value)} for symbol, value in sorted(found.betas.items())],
        "correlations": [
            {"symbol": pair[0], "other": pair[1], "coefficient": _four(value)}
            for pair, value in sorted(found.correlations.items())
        ],
        "stress": [{"name": one.name, "label": one.label, "profit": money(one.profit)} for one in found.stress],
        "by_name": exposure_answer(found.by_name),
        "by_side": exposure_answer(found.by_side),
        "by_sector": exposure_answer(found.by_sector),
    }


def _tail(tail: Any) -> Answer:
    names = ("historical_var", "historical_shortfall", "parametric_var", "parametric_shortfall")
    return {"level": f"{tail.confidence.level:f}", **{name: money(getattr(tail, name)) for name in names}}


def _four(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.quantize(FOUR):f}"


def money(value: Decimal) -> str:
    """Return an amount to the cent."""
    return f"{value.quantize(CENT):f}"


def plain(value: Decimal) -> str:
    """Return a number without zeros behind it."""
    return f"{value.normalize():f}"
