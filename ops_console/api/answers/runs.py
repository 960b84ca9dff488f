"""Runs and strategies."""

from rest_framework import serializers

from execution.models import Strategy
from ops_console.api.answers.parts import Answer, DecimalText, Instant, Shape, list_of, names_of, page_of
from trading.models import Run, RunStep
from trading.states import RunState, StepName, StepState


class RunSerializer(Shape):
    """One strategy's decision for one session."""

    id = serializers.IntegerField()
    strategy = serializers.CharField()
    kind = serializers.CharField()
    trading_date = serializers.DateField(help_text="Session whose open the orders are for.")
    as_of_date = serializers.DateField(help_text="Session whose close is the newest thing known.")
    state = serializers.ChoiceField(choices=RunState.choices)
    reason = serializers.CharField(allow_blank=True, help_text="Why it was skipped or failed.")
    order_count = serializers.IntegerField(help_text="Orders that passed the gate.")
    denied_count = serializers.IntegerField(help_text="Intents that the gate denied.")
    attempts = serializers.IntegerField()
    created_at = Instant(help_text="Wall time.")
    started_at = Instant(allow_null=True, help_text="Wall time.")
    finished_at = Instant(allow_null=True, help_text="Wall time.")


class StepSerializer(Shape):
    """How one step of a run ended."""

    name = serializers.ChoiceField(choices=StepName.choices)
    state = serializers.ChoiceField(choices=StepState.choices)
    output = serializers.DictField()
    error = serializers.CharField(allow_blank=True)
    started_at = Instant(help_text="Wall time.")
    finished_at = Instant(help_text="Wall time.")


class RunDetailSerializer(RunSerializer):
    """A run with its steps and its report."""

    steps = StepSerializer(many=True)
    report = serializers.DictField()


class StrategySerializer(Shape):
    """An owner of orders and positions."""

    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    enabled = serializers.BooleanField(help_text="Orders that add risk are denied when it is not.")
    scheduled = serializers.BooleanField(help_text="The clock starts a run of it for every session.")
    capital_share = DecimalText(help_text="Share of the account's capital, 0 to 1.")
    generates_signals = serializers.BooleanField(help_text="It can be run.")


RunPageSerializer = page_of(RunSerializer, "RunPageSerializer")
StrategyListSerializer = list_of(StrategySerializer, "StrategyListSerializer")

COPIED = tuple(name for name in names_of(RunSerializer) if name != "strategy")
STEP_NAMES = names_of(StepSerializer)


def run_answer(run: Run) -> Answer:
    """Return one run; its strategy must have come with it, or a query goes out."""
    return {"strategy": run.strategy.name, **{name: getattr(run, name) for name in COPIED}}


def step_answer(step: RunStep) -> Answer:
    """Return one step."""
    return {name: getattr(step, name) for name in STEP_NAMES}


def run_detail_answer(run: Run) -> Answer:
    """Return one run with its steps."""
    return {**run_answer(run), "steps": [step_answer(step) for step in run.steps.order_by("id")], "report": run.report}


def strategy_answer(strategy: Strategy, *, generates_signals: bool) -> Answer:
    """Return one strategy."""
    return {
        "name": strategy.name,
        "description": strategy.description,
        "enabled": strategy.enabled,
        "scheduled": strategy.scheduled,
        "capital_share": strategy.capital_share,
        "generates_signals": generates_signals,
    }
