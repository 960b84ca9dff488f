"""What becomes of work when scheduler or workers are not there, go away, or are of another version."""

from threading import Thread
from typing import Any

import pytest
from distributed import Client

from signals.engine import Choice, EngineError, EngineLost, PartFailed, engine_for
from signals.engine import cluster as module
from signals.engine.worker import described
from tests.signals.engine import works
from tests.signals.engine.conftest import PAUSE, Outside


def test_nobody_at_the_address_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    with pytest.raises(EngineError, match=r"scheduler = tcp://127.0.0.1:9: no Dask scheduler answers there"):
        engine_for(Choice("dask", "tcp://127.0.0.1:9"))


def test_a_cluster_without_a_worker_and_one_that_loses_all_end_with_a_word(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORKERS_SECONDS", 0.5)
    with pytest.raises(EngineError, match=r"it has no worker after 0\.5 s; start `dask worker`"):
        engine_for(Choice("dask", outside.address))
    monkeypatch.setattr(module, "WORKERS_SECONDS", 60)
    monkeypatch.setattr(module, "GONE_SECONDS", 1)
    outside.add_worker()
    with engine_for(Choice("dask", outside.address)) as engine:
        after(1, outside.worker)
        with pytest.raises(EngineLost, match="no worker is left"):
            engine.map(works.linger, range(200), shared=0.1)


def test_a_scheduler_that_goes_away_ends_the_work_with_a_word(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GONE_SECONDS", 1)
    monkeypatch.setattr(module, "CONNECT_SECONDS", 5)
    outside.add_worker()
    with engine_for(Choice("dask", outside.address)) as engine:
        after(1, outside.scheduler)
        with pytest.raises(EngineLost, match=r"of 200 parts were done\. Start the work again"):
            engine.map(works.linger, range(200), shared=0.1)


def test_a_worker_that_computes_other_numbers_is_refused(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = described()
    real = Client.run

    def older(self: Client, function: Any, *args: Any, **options: Any) -> Any:
        answers = real(self, function, *args, **options)
        return {worker: told | {"polars": "0.1"} for worker, told in answers.items()}

    monkeypatch.setattr(Client, "run", older)
    with pytest.raises(EngineError, match=rf"would compute other numbers: polars 0.1, here {ours['polars']}"):
        engine_for(Choice("dask", cluster))


def test_a_worker_that_joins_later_and_differs_does_no_part(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine_for(Choice("dask", cluster)) as engine:
        monkeypatch.setattr(module, "_ours", lambda: described() | {"lightgbm": "0.1"})
        with pytest.raises(PartFailed, match=r"OtherVersion: this worker would compute other numbers: .*lightgbm"):
            engine.map(works.add, [1], shared=1)


def after(seconds: float, process: Any) -> None:
    """Kill a process in a moment."""

    def kill() -> None:
        PAUSE.wait(seconds)
        process.kill()

    Thread(target=kill, daemon=True).start()
