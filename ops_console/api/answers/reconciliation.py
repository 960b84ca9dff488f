"""How the book stands against the broker's."""

from datetime import datetime

from rest_framework import serializers

from execution.models import Account, Break, ForcedCompletion, ReconciliationRun
from execution.reconciliation.breaks import live_breaks
from execution.reconciliation.forced import may_trade
from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, page_of
from risk.states import ReleaseState


class ReconciliationRunSerializer(Shape):
    """One comparison with the broker."""

    id = serializers.IntegerField()
    trigger = serializers.ChoiceField(choices=ReconciliationRun.Trigger.choices)
    started_by = serializers.CharField(allow_blank=True)
    started_at = Instant(help_text="Wall time.")
    finished_at = Instant(allow_null=True)
    state = serializers.ChoiceField(choices=ReconciliationRun.State.choices)
    orders_compared = serializers.IntegerField(min_value=0)
    positions_compared = serializers.IntegerField(min_value=0)
    adopted = serializers.IntegerField(min_value=0, help_text="Orders and positions of others.")
    inferred = serializers.IntegerField(min_value=0, help_text="Fills that no execution told.")
    booked = serializers.IntegerField(min_value=0, help_text="Fees, dividends and transfers.")
    open_breaks = serializers.IntegerField(min_value=0)
    cash_difference = NullableDecimalText(help_text="Ours less the broker's; null when it was not compared.")
    problem = serializers.CharField(allow_blank=True, help_text="Why there is no verdict.")


class BreakSerializer(Shape):
    """One difference, from its first sighting until it is over."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Break.Kind.choices)
    subject = serializers.CharField()
    symbol = serializers.CharField(allow_blank=True)
    ours = DecimalText()
    theirs = DecimalText()
    cause = serializers.CharField(allow_blank=True, help_text="What may have happened.")
    proposal = serializers.CharField(allow_blank=True, help_text="What a repair would do.")
    state = serializers.ChoiceField(choices=Break.State.choices)
    sightings = serializers.IntegerField(min_value=0, help_text="How many looks in a row saw it.")
    first_seen_at = Instant(help_text="Wall time.")
    last_seen_at = Instant(help_text="Wall time.")
    decided_by = serializers.CharField(allow_blank=True)
    decided_at = Instant(allow_null=True)
    reason = serializers.CharField(allow_blank=True)


class ForcedCompletionSerializer(Shape):
    """Two people's word that the account may trade without a clean run."""

    id = serializers.IntegerField()
    requested_by = serializers.CharField()
    reason = serializers.CharField()
    requested_at = Instant(help_text="Wall time.")
    request_expires_at = Instant()
    state = serializers.ChoiceField(choices=ReleaseState.choices)
    decided_by = serializers.CharField(allow_blank=True)
    expires_at = Instant(allow_null=True, help_text="Until when the account may trade.")


class ReconciliationStatusSerializer(Shape):
    """The account's state, the newest run and what is to be decided."""

    account = serializers.CharField()
    state = serializers.ChoiceField(choices=Account.Reconciliation.choices)
    may_trade = serializers.BooleanField()
    reconciled_at = Instant(allow_null=True)
    strangers = serializers.ChoiceField(choices=Account.Strangers.choices)
    newest_run = ReconciliationRunSerializer(allow_null=True)
    breaks = serializers.DictField(child=serializers.IntegerField(min_value=0), help_text="Live ones, by state.")
    forced = ForcedCompletionSerializer(allow_null=True)


BreakPageSerializer = page_of(BreakSerializer, "BreakPageSerializer")


def run_answer(run: ReconciliationRun) -> Answer:
    """Return one run."""
    return {name: getattr(run, name) for name in ReconciliationRunSerializer().get_fields()}


def break_answer(row: Break) -> Answer:
    """Return one break."""
    return {name: getattr(row, name) for name in BreakSerializer().get_fields()}


def forced_answer(row: ForcedCompletion) -> Answer:
    """Return one forced completion."""
    return {name: getattr(row, name) for name in ForcedCompletionSerializer().get_fields()}


def current_force(account: Account, wall_now: datetime) -> ForcedCompletion | None:
    """Return the forced completion that waits or is in force."""
    newest = ForcedCompletion.objects.filter(account=account).first()
    if newest is None:
        return None
    waits = newest.state == ReleaseState.PENDING and newest.request_expires_at > wall_now
    holds = newest.state == ReleaseState.APPROVED and newest.expires_at is not None and newest.expires_at > wall_now
    return newest if waits or holds else None


def status_answer(account: Account, wall_now: datetime) -> Answer:
    """Return how the account stands."""
    newest = ReconciliationRun.objects.filter(account=account).first()
    forced = current_force(account, wall_now)
    states = [row.state for row in live_breaks(account)]
    return {
        "account": account.name,
        "state": account.reconciliation,
        "may_trade": may_trade(account, wall_now),
        "reconciled_at": account.reconciled_at,
        "strangers": account.strangers,
        "newest_run": None if newest is None else run_answer(newest),
        "breaks": {state.value: states.count(state) for state in Break.LIVE},
        "forced": None if forced is None else forced_answer(forced),
    }
