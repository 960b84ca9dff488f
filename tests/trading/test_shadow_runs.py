"""Versions in the shadow score what the run scored, trade nothing, and are compared by what they would have brought."""

from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl
import pytest
from django.db import IntegrityError, transaction
from django_q.models import OrmQ

from execution.models import Account, Order, Strategy
from execution.services.accounts import open_account
from marketdata import calendar
from marketdata.clock import BEFORE_OPEN
from marketdata.lake import default_lake
from marketdata.providers.replay import ReplayProvider
from marketdata.services.feeds import create_manual_feed
from signals.errors import SignalError
from signals.models import ModelVersion, ShadowResult, ShadowRole, ShadowSet
from signals.registry import activate, live_models, retire, shadow, store
from signals.selectors import shadow_comparison
from signals.services.replay_models import train_on_past
from signals.services.shadows import ShadowFailedError, weights_of
from signals.training import TrainedModel
from tests.factories import WALL_NOW
from tests.trading.days import FIRST, SYMBOLS, next_morning, rest_of_day
from trading.models import Run
from trading.services import runs, steps
from trading.services.bootstrap import prepare_installation
from trading.services.market_day import Desk
from trading.services.runs import finish_run, run_strategy
from trading.services.shadow_duty import ask_for_shadows
from trading.services.shadow_runs import score_version, settle_results
from trading.states import RunState, StepName

pytestmark = pytest.mark.usefixtures("market", "models")
NEXT = date(2012, 1, 5)
REASON = "a better rank IC on the test split"


@pytest.fixture
def models(settings: Any, tmp_path: Any) -> None:
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_APPROVALS = 1
    live_models.forget()


@pytest.fixture
def desk() -> Desk:
    """The desk's own account on a clock set by hand."""
    prepare_installation(wall_now=WALL_NOW)
    feed = create_manual_feed(name="by-hand", market_at=calendar.session_open(FIRST) - BEFORE_OPEN)
    account = open_account(
        name="desk",
        mode=Account.Mode.PAPER,
        kind=Account.Kind.DESK,
        feed=feed,
        starting_cash=Decimal(100_000),
        wall_now=WALL_NOW,
    )
    return next_morning(Desk.of(account, ReplayProvider(default_lake(), symbols=SYMBOLS)), FIRST)


@cache
def trained(last: date) -> TrainedModel:
    return train_on_past(symbols=SYMBOLS[2:], first=date(2010, 1, 4), last=last, seed=7)


def version(last: date) -> ModelVersion:
    return store(strategy="alpha_baseline", trained=trained(last), created_by="ann", now=WALL_NOW)


def in_use(active: ModelVersion, *shadows: ModelVersion) -> None:
    activate(active.pk, actor="ann", reason=REASON, now=WALL_NOW)
    for one in shadows:
        shadow(one.pk, actor="ann", reason=REASON, now=WALL_NOW)


def run(desk: Desk, day: date = FIRST) -> Run:
    strategy = Strategy.objects.get(name="alpha_baseline")
    return run_strategy(account=desk.account, strategy=strategy, trading_date=day, wall_now=WALL_NOW)


def asked() -> list[tuple[Any, ...]]:
    return [row.task["args"] for row in OrmQ.objects.order_by("pk")]


def score(desk: Desk, made: ModelVersion, day: date = FIRST) -> ShadowSet:
    return score_version(account=desk.account, version_id=made.pk, day=day, wall_now=WALL_NOW)


def test_two_days_with_an_active_version_and_its_shadow(desk: Desk) -> None:
    active, other = version(date(2011, 6, 30)), version(date(2011, 12, 30))
    assert ask_for_shadows(desk.account, WALL_NOW) == 0
    in_use(active, other)
    assert ask_for_shadows(desk.account, WALL_NOW) == 0, "the run comes first"
    first = run(desk)
    assert first.sizing["models"] == {"alpha_baseline": active.pk}
    assert first.signal_set is not None
    assert first.signal_set.model_version_id == active.pk
    orders = Order.objects.exclude(status="denied").count()
    assert orders == first.order_count > 0
    assert ask_for_shadows(desk.account, WALL_NOW) == 1
    assert asked()[-1] == ("score_version", desk.account.pk, other.pk, "2012-01-04")
    said = score(desk, other)
    assert said.universe == first.steps.get(name="freshness").output["fresh"]
    assert score(desk, other).pk == said.pk, "asked once about a close"
    assert Order.objects.count() == orders, "the shadow trades nothing"
    rest_of_day(desk, FIRST)
    finish_run(run=first, wall_now=WALL_NOW)
    next_morning(desk, NEXT)
    second = run(desk, NEXT)
    assert second.state == RunState.AWAITING_FILLS
    assert ask_for_shadows(desk.account, WALL_NOW) == 2
    assert {task[0] for task in asked()[-2:]} == {"score_version", "settle_shadow_results"}
    score(desk, other, NEXT)
    settled = settle_results(account=desk.account, strategy="alpha_baseline", until=FIRST, wall_now=WALL_NOW)
    assert settled == 2
    assert settle_results(account=desk.account, strategy="alpha_baseline", until=FIRST, wall_now=WALL_NOW) == 0
    results = {row.role: row for row in ShadowResult.objects.all()}
    assert results[ShadowRole.ACTIVE].version_id == active.pk
    brought = results[ShadowRole.SHADOW]
    bars = default_lake().scan("1d").filter(pl.col("date") == FIRST).collect()
    moves = {symbol: Decimal(repr(c)) / Decimal(repr(o)) - 1 for symbol, o, c in bars["symbol", "open", "close"].rows()}
    expected = sum((weight * moves[name] for name, weight in weights_of(said).items()), Decimal(0))
    assert brought.gross_return == pytest.approx(expected, abs=Decimal("1e-7"))
    assert brought.turnover == sum(abs(weight) for weight in weights_of(said).values())
    assert brought.pnl == pytest.approx(25_000 * (brought.gross_return - brought.cost), abs=Decimal("0.01"))
    table = shadow_comparison("alpha_baseline")
    assert [(line.version, line.role, line.sessions) for line in table] == [
        (active.pk, "active", 1),
        (other.pk, "shadow", 1),
    ]


def test_shadow_that_fails_is_named_and_the_run_goes_on(desk: Desk) -> None:
    active, broken = version(date(2011, 6, 30)), version(date(2011, 12, 30))
    in_use(active, broken)
    ModelVersion.objects.filter(pk=broken.pk).update(signature="0" * 64)
    assert run(desk).state == RunState.AWAITING_FILLS
    with pytest.raises(ShadowFailedError, match="signature"):
        score(desk, broken)
    assert "signature" in ShadowSet.objects.get(version=broken).failure
    assert ask_for_shadows(desk.account, WALL_NOW) == 0, "it is not tried again for this close"
    assert shadow_comparison("alpha_baseline")[-1].failures == 1


def test_without_an_active_version_the_run_is_skipped_and_the_shadow_scored(desk: Desk) -> None:
    only = version(date(2011, 12, 30))
    shadow(only.pk, actor="ann", reason=REASON, now=WALL_NOW)
    skipped = run(desk)
    assert skipped.state == RunState.SKIPPED
    assert "no active model" in skipped.reason
    assert not Order.objects.exists()
    assert ask_for_shadows(desk.account, WALL_NOW) == 1
    assert weights_of(score(desk, only))


def test_run_ends_with_the_version_it_began_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = version(date(2011, 6, 30)), version(date(2011, 12, 30))
    in_use(before)
    monkeypatch.setattr("trading.services.steps.present_weights", _die)
    with pytest.raises(Exception, match="the worker died"):
        run(desk)
    monkeypatch.undo()
    activate(after.pk, actor="ann", reason=REASON, now=WALL_NOW)
    resumed = run(desk)
    assert resumed.signal_set is not None
    assert resumed.signal_set.model_version_id == before.pk


def _die(*_: object) -> dict[str, Decimal]:
    raise SignalError("the worker died")


def test_orders_of_a_version_that_was_taken_back_are_not_sent(desk: Desk) -> None:
    made = version(date(2011, 6, 30))
    in_use(made)
    original = steps.make_intents

    def retired_meanwhile(work: steps.Work) -> dict[str, Any]:
        retire(made.pk, actor="ann", reason="it was trained on wrong data", now=WALL_NOW)
        return original(work)

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(runs.STEPS, StepName.INTENTS, retired_meanwhile)
        decided = run(desk)
    assert (decided.order_count, decided.denied_count) == (0, 4)
    batch = decided.steps.get(name=StepName.BATCH).output["orders"]
    assert {denial["code"] for order in batch for denial in order["denials"]} == {"MODEL_UNAPPROVED"}


def test_what_a_shadow_said_cannot_be_altered(desk: Desk) -> None:
    only = version(date(2011, 12, 30))
    shadow(only.pk, actor="ann", reason=REASON, now=WALL_NOW)
    run(desk)
    said = score(desk, only)
    for change in (
        lambda: ShadowSet.objects.filter(pk=said.pk).update(failure="none"),
        lambda: said.signals.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()
