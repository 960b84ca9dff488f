"""A replay trades with models of its own: trained on its past, pinned to it, and never the desk's."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from marketdata.clock import wall_now
from signals.models import ModelVersion
from signals.registry import activate, live_models
from signals.services import replay_models as making
from signals.states import ModelStatus
from tests.factories import WALL_NOW
from tests.trading.days import parameters
from trading.errors import ReplayParameterError
from trading.models import ReplayRun, Run
from trading.services.replay import replay_range
from trading.services.replay_models import Prepared, Training, prepare_models
from trading.types import ReplayParameters

pytestmark = pytest.mark.usefixtures("desk", "models")
START, END = date(2012, 1, 3), date(2012, 1, 5)
TRAINING = Training(first=date(2010, 1, 4), last=date(2011, 12, 30), seed=7)
ALL = ("alpha_baseline", "ensemble", "mean_reversion", "momentum")


@pytest.fixture
def models(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_APPROVALS = 1
    live_models.forget()
    yield
    live_models.forget()


def prepared(
    asked: ReplayParameters | None = None, training: Training = TRAINING, *, required: bool = False
) -> Prepared:
    wanted = asked or parameters(START, END, strategies=ALL)
    return prepare_models(parameters=wanted, training=training, required=required, wall_now=WALL_NOW)


def test_replay_is_held_to_its_model_whatever_the_desk_has_active() -> None:
    made = prepared()
    version = made.versions["alpha_baseline"]
    other = prepared(training=replace(TRAINING, first=date(2009, 1, 2))).versions["alpha_baseline"]
    activate(other.pk, actor="ann", reason="a longer history to learn from", now=WALL_NOW)
    row = replay_range(parameters=made.parameters, wall_clock=wall_now)
    runs = Run.objects.filter(account=row.account, signal_set__model_version__isnull=False)
    assert set(runs.values_list("strategy__name", flat=True)) == {"alpha_baseline", "ensemble"}
    assert set(runs.values_list("signal_set__model_version", flat=True)) == {version.pk}
    assert row.parameters["models"] == {"alpha_baseline": version.sha256}
    states = dict(ModelVersion.objects.values_list("pk", "status"))
    assert states == {version.pk: ModelStatus.CANDIDATE, other.pk: ModelStatus.ACTIVE}, "a replay moves no model"


def test_training_ends_before_the_first_session_traded(monkeypatch: pytest.MonkeyPatch) -> None:
    late = prepared(training=replace(TRAINING, last=date(2013, 1, 2)))
    assert late.versions["alpha_baseline"].last_date == date(2011, 12, 30)
    assert prepared().versions["alpha_baseline"].pk == late.versions["alpha_baseline"].pk, "the same training"
    assert late.versions["alpha_baseline"].created_by == making.MADE_BY


def test_what_cannot_be_trained_is_left_out_with_the_reason_or_refused_when_asked_for() -> None:
    short = replace(TRAINING, first=date(2011, 12, 27))
    made = prepared(training=short)
    assert made.parameters.strategies == ("mean_reversion", "momentum")
    assert "no model of alpha_baseline" in made.left_out["ensemble"]
    with pytest.raises(ReplayParameterError, match="--strategy: got alpha_baseline, allowed: strategies whose model"):
        prepared(training=short, required=True)
    early = replace(TRAINING, first=date(2012, 2, 1))
    assert "the replay begins on 2012-01-03" in prepared(training=early).left_out["alpha_baseline"]
    one_name = parameters(START, END, strategies=ALL, symbols=("IBM",))
    assert "two names a day are needed" in prepared(one_name).left_out["alpha_baseline"]


def test_stored_version_may_be_chosen_when_it_knows_nothing_of_the_range() -> None:
    version = prepared().versions["alpha_baseline"]
    chosen = replace(TRAINING, chosen=(version.pk,))
    assert prepared(training=chosen).versions == {"alpha_baseline": version}
    seen = parameters(date(2011, 12, 29), END, strategies=ALL)
    with pytest.raises(ReplayParameterError, match="seen data up to 2011-12-30, allowed: a model that ends before"):
        prepared(seen, chosen)
    with pytest.raises(ReplayParameterError, match="none of the strategies scores with one"):
        prepared(parameters(START, END), chosen)


def test_replay_without_the_models_it_needs_is_refused() -> None:
    with pytest.raises(ReplayParameterError, match="none is for alpha_baseline"):
        replay_range(parameters=parameters(START, END, strategies=ALL), wall_clock=wall_now)
    assert not ReplayRun.objects.exists()


def told(path: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    out = StringIO()
    options = ("--from=2012-01-03", "--to=2012-01-06", "--train-from=2010-01-04", f"--output={path}")
    call_command("paper_run", *options, *arguments, stdout=out)
    document: dict[str, Any] = json.loads(path.read_text())
    return out.getvalue(), document


def test_command_trains_and_twice_gives_the_same_document(tmp_path: Path) -> None:
    (text, first), (_, second) = told(tmp_path / "a.json"), told(tmp_path / "b.json")
    for word in (*ALL, "buy and hold", "rank IC", "turnover", "trees from", "2010-01-04 to 2010-12-31"):
        assert word in text
    assert [line["name"] for line in first["results"]] == [*ALL, "account", "buy and hold"]
    line = first["results"][0]
    assert line["ic_days"] == 4
    assert Decimal(line["rank_ic"]) == Decimal(line["rank_ic"]).quantize(Decimal("1e-6"))
    assert Decimal(line["turnover"]) > 0
    assert first["models"]["alpha_baseline"]["splits"]["embargo_sessions"] == 5
    for document in (first, second):
        assert document.pop("account")
        assert document.pop("timing")
    assert first == second
    assert ModelVersion.objects.get().status == ModelStatus.CANDIDATE


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--train-to=2012-01-03", "--train-to: got '2012-01-03', allowed: a date before --from 2012-01-03"),
        ("--train-from=soon", "--train-from: got 'soon', allowed: a date such as 2012-01-03"),
        ("--seed=-1", "--seed: got -1, allowed: a whole number from 0"),
        ("--model=999", "--model: there is no model 999"),
    ],
)
def test_bad_argument_of_the_training_is_named(argument: str, said: str) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        call_command("paper_run", "--from=2012-01-03", "--to=2012-01-06", argument, stdout=StringIO())
    assert refused.value.returncode == 2
