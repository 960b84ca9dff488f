"""Training and the registry from the command line."""

import pytest

from marketdata.models import Instrument
from signals.models import ModelApproval, ModelVersion
from signals.registry import load
from signals.registry.artefacts import path_of
from tests.bench import generated_lake
from tests.bench.generated_lake import names
from tests.ops_console.commands.terminal import make_user, run
from tests.signals.registry.candidates import stored
from trading.models import Job

pytestmark = pytest.mark.django_db
WHY = ("--operator", "alice", "--reason", "better on the test split")
QUICK = ("--set", "num_leaves=7", "--set", "num_boost_round=5", "--set", "early_stopping_rounds=0")
RANGE = ("--from", "2024-06-03", "--to", "2025-12-31")
LIGHT = ("--set", "lambda_l1=0", "--set", "lambda_l2=1")


@pytest.fixture(autouse=True)
def _people(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_APPROVALS = 1
    make_user("alice", "risk_officer")
    make_user("bob", "risk_officer")
    make_user("trader", "trader")


@pytest.fixture
def lake():
    for symbol in names(6):
        Instrument.objects.create(symbol=symbol)
    with generated_lake.lake(6, 520):
        yield


def train(*more: str):
    return run("train_model", *RANGE, *QUICK, *LIGHT, "--threads", "1", *more)


def test_a_training_registers_a_candidate_that_can_be_loaded(lake):
    outcome = train("--symbols", *names(6), "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.document
    assert (told["status"], told["number"], told["signed"]) == ("candidate", 1, True)
    assert set(told["metrics"]) == {"train", "valid", "test"}
    assert told["splits"]["embargo_sessions"] == 5
    version = ModelVersion.objects.get()
    assert len(load(version).features) == 158
    assert train("--symbols", *names(6), "--json").document["id"] == version.pk  # the same training: the same version
    text = train("--seed", "8").out
    assert "alpha_baseline" in text
    assert "models activate" in text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--symbols", "NOPE"), "symbols = NOPE: allowed is symbols of known instruments"),
        (("--set", "num_leaves"), "--set: got 'num_leaves', allowed is NAME=VALUE with one of"),
        (("--set", "num_leaves=many"), "--set num_leaves: got 'many', a number is needed"),
        (("--set", "num_leaves=1"), "num_leaves = 1: allowed is a whole number from 2 to 4096"),
        (("--embargo", "1"), "embargo = 1: allowed is a whole number from 2 to 250"),
        (("--to", "2024-01-02"), "end = 2024-01-02: allowed is a date from 2024-06-03 on"),
        (("--set", "lambda_l1=1e9"), "taught nothing"),
        (("--to", "2024-07-01"), "each needs 10"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(lake, more, told):
    outcome = train(*more)
    assert outcome.code == 1
    assert told in outcome.err
    assert "\n" not in outcome.err.strip()
    assert not ModelVersion.objects.exists()


def test_a_training_can_be_left_to_the_jobs(lake):
    assert "waits for the process `jobs`" in train("--job").out
    job = Job.objects.get()
    assert (job.kind, job.parameters["strategy"], len(job.parameters["symbols"])) == ("train", "alpha_baseline", 6)


def test_a_job_of_the_kind_trains_and_names_the_version(lake):
    from trading.job_kinds import KINDS, checks_of, runs_of

    wanted = {
        "strategy": "alpha_baseline", "symbols": names(6), "start": "2024-06-03", "end": "2025-12-31", "threads": 1,
        "parameters": {"num_leaves": 7, "num_boost_round": 5, "early_stopping_rounds": 0, "lambda_l1": 0},
    }  # fmt: skip
    heard = []
    kind = KINDS["train"]
    result = runs_of(kind)(checks_of(kind)(wanted), lambda done, total, what: heard.append((done, total)))
    assert ModelVersion.objects.get().pk == result["id"]
    assert heard[-1] == (100, 100)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


def test_versions_are_listed_shown_activated_and_rolled_back():
    assert "no models: train one" in run("models", "list").out
    first, second = stored(seed=1), stored(seed=2)
    assert "alpha_baseline 1 is active" in run("models", "activate", str(first.pk), *WHY).out
    assert run("models", "activate", str(second.pk), "--json", *WHY).document["status"] == "active"
    listed = run("models", "list", "--status", "active", "--json").document
    assert [row["id"] for row in listed] == [second.pk]
    text = run("models", "show", str(second.pk)).out
    assert "rank IC" in text
    assert "activated by alice: better on the test split" in text
    shown = run("models", "show", str(second.pk), "--json").document
    assert [event["act"] for event in shown["events"]] == ["registered", "activated"]
    assert "alpha_baseline 1 is active" in run("models", "rollback", "alpha_baseline", *WHY).out
    assert "shadow" in run("models", "shadow", str(second.pk), *WHY).out
    assert "retired" in run("models", "retire", str(second.pk), *WHY).out
    assert "alpha_baseline" in run("models", "list").out


def test_two_people_at_the_terminal(settings):
    settings.MODEL_APPROVALS = 2
    first, second = stored(seed=1), stored(seed=2)
    asked = run("models", "activate", str(first.pk), "--json", *WHY).document
    assert ModelVersion.objects.get(pk=first.pk).status == "candidate"
    own = run("models", "approve", str(asked["request"]), "--operator", "alice")
    assert (own.code, "another person has to approve it" in own.err) == (1, True)
    assert "is active" in run("models", "approve", str(asked["request"]), "--operator", "bob").out
    same = run("models", "activate", str(second.pk), "--second-operator", "alice", *WHY)
    assert (same.code, "two different people" in same.err) == (1, True)
    assert "is active" in run("models", "activate", str(second.pk), "--second-operator", "bob", *WHY).out
    again = run("models", "activate", str(first.pk), *WHY)
    assert "another person has to approve it" in again.out
    number = ModelApproval.objects.filter(state="pending").get().pk
    assert "turned down" in run("models", "reject", str(number), "--operator", "bob").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("activate", "4711", *WHY), "there is no model 4711"),
        (("show", "4711"), "there is no model 4711"),
        (("rollback", "nope", *WHY), "no strategy is named 'nope'"),
        (("rollback", "alpha_baseline", *WHY), "has no active model"),
        (("activate", "1", "--operator", "trader", "--reason", "better on the test"), "user trader may not"),
        (("activate", "1", "--operator", "nobody", "--reason", "better on the test"), "there is no user 'nobody'"),
        (("approve", "7", "--operator", "bob"), "there is no request 7"),
    ],
)
def test_refusals_are_one_line(arguments, told):
    outcome = run("models", *arguments)
    assert (outcome.code, told in outcome.err) == (1, True), outcome.err


def test_a_short_reason_and_an_altered_file_are_refused():
    version = stored()
    short = run("models", "activate", str(version.pk), "--operator", "alice", "--reason", "no")
    assert (short.code, "10 to 500 are needed" in short.err) == (1, True)
    path_of(version).write_bytes(b"tree")
    altered = run("models", "activate", str(version.pk), *WHY)
    assert (altered.code, "bytes where" in altered.err) == (1, True)
