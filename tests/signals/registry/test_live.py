"""Every process uses the newest activation within seconds, loads it once, and keeps the one before when it cannot."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signals import registry
from signals.news import model_loaded, model_reload_failed
from signals.registry.artefacts import path_of
from signals.registry.live import LiveModels
from signals.registry.loading import parse_booster
from tests.faults.killing import REPOSITORY, database_environment
from tests.signals.registry.candidates import NOW, REASON, stored

WHO = {"actor": "olga", "reason": REASON, "now": NOW}


class Counted:
    """A parser that counts, and the news that a process sent."""

    def __init__(self) -> None:
        self.loads = 0
        self.news: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, content: bytes) -> Any:
        self.loads += 1
        return parse_booster(content)

    def hear(self, sender: object, signal: object, **said: Any) -> None:
        self.news.append(("loaded" if signal is model_loaded else "failed", said))


@pytest.fixture
def counted() -> Iterator[Counted]:
    counted = Counted()
    for signal in (model_loaded, model_reload_failed):
        signal.connect(counted.hear)
    yield counted
    for signal in (model_loaded, model_reload_failed):
        signal.disconnect(counted.hear)


@pytest.mark.django_db
def test_nothing_is_loaded_again_while_nothing_has_changed(counted):
    version = stored()
    registry.activate(version.pk, **WHO)
    models = LiveModels(parse=counted, look_seconds=0)
    first = models.active_model("alpha_baseline")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        again = [models.active_model("alpha_baseline") for _ in range(5)]
    assert all(model is first for model in again)
    assert counted.loads == 1
    assert len(queries) == 5  # the look; the row and the file are not read again


@pytest.mark.django_db
def test_between_two_looks_the_database_is_not_asked(counted):
    registry.activate(stored().pk, **WHO)
    models = LiveModels(parse=counted, look_seconds=60)
    models.active_model("alpha_baseline")
    with CaptureQueriesContext(connection) as queries:
        models.active_model("alpha_baseline")
    assert len(queries) == 0


@pytest.mark.django_db
def test_a_failed_load_keeps_the_model_before_and_tells_so(counted):
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    models = LiveModels(parse=counted, look_seconds=0)
    kept = models.active_model("alpha_baseline")
    registry.activate(second.pk, **WHO)
    whole = path_of(second).read_bytes()
    path_of(second).unlink()
    assert [models.active_model("alpha_baseline") for _ in range(3)] == [kept] * 3
    assert "is missing" in models.failure("alpha_baseline")
    told = [said for kind, said in counted.news if kind == "failed"]
    assert len(told) == 1  # tried again later, not at each use
    assert (told[0]["version_id"], told[0]["kept_id"], told[0]["strategy"]) == (second.pk, first.pk, "alpha_baseline")
    path_of(second).write_bytes(whole)
    assert models.reload("alpha_baseline").version_id == second.pk
    assert models.failure("alpha_baseline") == ""
    assert counted.news[-1][0] == "loaded"
    assert counted.loads == 2


@pytest.mark.django_db
def test_an_altered_file_never_becomes_the_model_in_use(counted):
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    models = LiveModels(parse=counted, look_seconds=0)
    models.active_model("alpha_baseline")
    registry.activate(second.pk, **WHO)
    whole = bytearray(path_of(second).read_bytes())
    whole[100] ^= 4
    path_of(second).write_bytes(whole)
    assert models.active_model("alpha_baseline").version_id == first.pk
    assert counted.loads == 1
    assert "the file was altered" in models.failure("alpha_baseline")


@pytest.mark.django_db
def test_with_nothing_to_go_on_with_the_reason_is_told(counted):
    models = LiveModels(parse=counted, look_seconds=0)
    with pytest.raises(registry.NoActiveModelError, match="has no active model: train one and activate it"):
        models.active_model("alpha_baseline")
    version = stored()
    registry.activate(version.pk, **WHO)
    path_of(version).unlink()
    with pytest.raises(registry.ModelError, match=r"the active model cannot be loaded: .* is missing"):
        models.active_model("alpha_baseline")


@pytest.mark.django_db
def test_a_retired_model_is_used_no_more(counted):
    version = stored()
    registry.activate(version.pk, **WHO)
    models = LiveModels(parse=counted, look_seconds=0)
    models.active_model("alpha_baseline")
    registry.retire(version.pk, **WHO)
    with pytest.raises(registry.NoActiveModelError):
        models.active_model("alpha_baseline")


@contextmanager
def scorers(count: int, folder: str) -> Iterator[list["subprocess.Popen[str]"]]:
    environment = database_environment() | {"MODEL_DIR": folder, "MODEL_SIGNING_KEY": "k" * 40}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.signals.registry.scorer"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


@pytest.mark.django_db(transaction=True)
def test_two_processes_use_what_was_activated_within_five_seconds(model_folder):
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    with scorers(2, str(model_folder)) as running:
        assert [process.stdout.readline() for process in running] == [f"{first.pk} 1\n"] * 2
        began = monotonic()
        registry.activate(second.pk, **WHO)
        assert [process.stdout.readline() for process in running] == [f"{second.pk} 2\n"] * 2
        took = monotonic() - began
        registry.rollback("alpha_baseline", **WHO)
        assert [process.stdout.readline() for process in running] == [f"{first.pk} 3\n"] * 2
        for process in running:
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.stdout.readline() for process in running] == ["end 3\n"] * 2
    assert took < 5
