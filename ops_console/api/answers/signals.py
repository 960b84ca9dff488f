"""Signals: what a strategy said about each name as of a close. Numbers with a point are texts."""

from rest_framework import serializers

from ops_console.api.answers.backtests import exact
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, list_of, page_of
from signals.models import ExcludedReason, Signal, SignalSet
from signals.selectors import VersionRecord


class SignalSerializer(Shape):
    """What one set says about one instrument."""

    id = serializers.IntegerField()
    strategy = serializers.CharField()
    as_of_date = serializers.DateField(help_text="Session whose close is the newest thing known.")
    signal_set = serializers.IntegerField()
    symbol = serializers.CharField()
    score = NullableDecimalText(allow_null=True, help_text="Higher is better; null when it is excluded.")
    rank = serializers.IntegerField(allow_null=True, help_text="1 is the highest score.")
    target_weight = DecimalText(help_text="Signed fraction of the strategy's capital.")
    feature_date = serializers.DateField(allow_null=True, help_text="The newest bar used.")
    excluded_reason = serializers.ChoiceField(choices=ExcludedReason.choices, allow_blank=True)
    model_version = serializers.IntegerField(allow_null=True, help_text="Id of the model that scored.")


class SetSignalSerializer(Shape):
    """One instrument of a set."""

    symbol = serializers.CharField()
    score = NullableDecimalText(allow_null=True)
    rank = serializers.IntegerField(allow_null=True)
    target_weight = DecimalText()
    feature_date = serializers.DateField(allow_null=True)
    excluded_reason = serializers.ChoiceField(choices=ExcludedReason.choices, allow_blank=True)


class SignalSetSerializer(Shape):
    """All signals of one strategy as of one close, best first, then what is excluded."""

    id = serializers.IntegerField()
    strategy = serializers.CharField()
    as_of_date = serializers.DateField(help_text="Session whose close is the newest thing known.")
    feature_date = serializers.DateField(allow_null=True, help_text="The newest bar used.")
    feature_version = serializers.CharField(allow_blank=True, help_text="Empty where bars were scored.")
    model_version = serializers.IntegerField(allow_null=True, help_text="Id of the model that scored.")
    code_version = serializers.CharField()
    data_hash = serializers.CharField(help_text="SHA-256 over the rows that went in.")
    created_at = Instant(help_text="Wall time.")
    signals = SetSignalSerializer(many=True)


class VersionRecordSerializer(Shape):
    """What one version's target weights brought over the sessions compared."""

    model_version = serializers.IntegerField()
    number = serializers.IntegerField(help_text="1, 2, … within the strategy.")
    role = serializers.CharField(help_text="active or shadow.")
    sessions = serializers.IntegerField()
    first = serializers.DateField(allow_null=True)
    last = serializers.DateField(allow_null=True)
    returned = DecimalText(help_text="Sum of the sessions after an assumed cost, a fraction of the capital.")
    turnover = DecimalText(help_text="Mean of Σ|change of weight| a session.")
    pnl = DecimalText(help_text="Account currency, after cost.")
    rank_ic = NullableDecimalText(allow_null=True, help_text="Scores against open-to-close, mean of the sessions.")
    failures = serializers.IntegerField(help_text="Closes it could say nothing about.")


SignalPageSerializer = page_of(SignalSerializer, "SignalPageSerializer")
VersionRecordListSerializer = list_of(VersionRecordSerializer, "VersionRecordListSerializer")


def signal_answer(row: Signal) -> Answer:
    """Return one signal; set and instrument must have come with it, or a query goes out."""
    return {
        "id": row.pk,
        "strategy": row.signal_set.strategy,
        "as_of_date": row.signal_set.as_of_date,
        "signal_set": row.signal_set_id,
        "model_version": row.signal_set.model_version_id,
        **_of_symbol(row),
    }


def _of_symbol(row: Signal) -> Answer:
    return {
        "symbol": row.instrument.symbol,
        "score": exact(row.score),
        "rank": row.rank,
        "target_weight": f"{row.target_weight:f}",
        "feature_date": row.feature_date,
        "excluded_reason": row.excluded_reason,
    }


def set_answer(made: SignalSet) -> Answer:
    """Return one set with its signals. One query."""
    names = ("strategy", "as_of_date", "feature_date", "feature_version", "code_version", "data_hash", "created_at")
    rows = made.signals.select_related("instrument").order_by("rank", "instrument__symbol")
    return {
        "id": made.pk,
        "model_version": made.model_version_id,
        **{name: getattr(made, name) for name in names},
        "signals": [_of_symbol(row) for row in rows],
    }


def record_answer(record: VersionRecord) -> Answer:
    """Return one line of the comparison."""
    return {
        "model_version": record.version,
        "number": record.number,
        "role": record.role,
        "sessions": record.sessions,
        "first": record.first,
        "last": record.last,
        "returned": f"{record.returned:f}",
        "turnover": f"{record.turnover:f}",
        "pnl": f"{record.pnl:f}",
        "rank_ic": None if record.rank_ic is None else f"{record.rank_ic:f}",
        "failures": record.failures,
    }
