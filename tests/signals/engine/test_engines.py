"""Every engine does the same work with the same answers, loses no part to a death, and ends when it is told to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signals.engine import Choice, Engine, EngineError, EngineLost, PartFailed, engine_for
from signals.engine.base import MOST_TRIES
from signals.engine.here import Inline
from signals.progress import Cancelled
from tests.signals.engine import works


@pytest.fixture(params=["here", "processes", "dask"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Return each engine."""
    address = request.getfixturevalue("cluster") if request.param == "dask" else ""
    choice = Choice(request.param, address, processes=2 if request.param == "processes" else 0)
    with engine_for(choice) as found:
        yield found


class Listener:
    """Hears progress, and wants no more of it from some word on."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.told: list[tuple[int, int, str]] = []
        self.cancel_at = cancel_at

    def __call__(self, done: int, total: int, what: str) -> None:
        self.told.append((done, total, what))
        if self.cancel_at is not None and len(self.told) >= self.cancel_at:
            raise Cancelled


def test_answers_come_in_the_order_of_the_parts(engine: Engine) -> None:
    listener = Listener()
    assert engine.map(works.add, range(7), shared=100, progress=listener, what="adding") == list(range(100, 107))
    assert listener.told[-1] == (7, 7, "adding")
    assert [told[0] for told in listener.told] == sorted(told[0] for told in listener.told)
    assert engine.map(works.add, range(2), shared=1) == [1, 2]
    assert engine.workers >= 1


def test_no_part_is_no_answer(engine: Engine) -> None:
    assert engine.map(works.add, [], shared=1) == []


def test_what_the_work_raises_names_the_part(engine: Engine) -> None:
    with pytest.raises((PartFailed, ValueError), match="no such part: 1") as failed:
        engine.map(works.fail, range(3))
    if not isinstance(engine, Inline):
        assert isinstance(failed.value, PartFailed)
        assert (failed.value.part, failed.value.kind) == (1, "ValueError")
        assert "works.py" in failed.value.trace
    assert engine.map(works.add, range(2), shared=1) == [1, 2]


def test_a_cancel_ends_the_work_while_all_are_busy(engine: Engine) -> None:
    with pytest.raises(Cancelled):
        engine.map(works.linger, range(40), shared=0.3, progress=Listener(cancel_at=3))
    assert engine.map(works.add, range(2), shared=1) == [1, 2]


@pytest.mark.parametrize("name", ["processes", "dask"])
def test_a_dead_worker_loses_no_part(name: str, cluster: str, tmp_path: Path) -> None:
    with engine_for(chosen(name, cluster)) as engine:
        assert engine.map(works.die_once, range(5), shared=str(tmp_path)) == [0, 10, 20, 30, 40]
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize("name", ["processes", "dask"])
def test_a_part_that_kills_whoever_does_it_is_given_up(name: str, cluster: str) -> None:
    with engine_for(chosen(name, cluster)) as engine, pytest.raises(EngineLost, match="Perhaps memory ran out"):
        engine.map(works.die_always, range(4))
    assert MOST_TRIES == 3


def chosen(name: str, cluster: str) -> Choice:
    return Choice(name, cluster) if name == "dask" else Choice(name, processes=2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"engine": "moon"}, "engine = moon: allowed is one of here, processes, dask"),
        ({"engine": "here", "scheduler": "tcp://a:1"}, "allowed with engine = dask alone"),
        ({"engine": "here", "processes": 2}, "allowed with engine = processes alone"),
        ({"engine": "processes", "processes": -1}, "processes = -1"),
        ({"engine": "processes", "processes": 1_000}, "allowed is 1 to 256"),
        ({"engine": "dask"}, "scheduler = nothing: allowed is tcp://HOST:PORT"),
        ({"engine": "dask", "scheduler": "http://a:1"}, "scheduler = http://a:1"),
        ({"engine": "dask", "scheduler": "tcp://a"}, "scheduler = tcp://a"),
        ({"engine": "dask", "scheduler": "tcp://a:99999"}, "scheduler = tcp://a:99999"),
        ({"engine": "dask", "scheduler": "tls://a:1"}, "needed there"),
        ({"engine": "dask", "scheduler": "tcp://a:1", "tls": ("a", "b", "c")}, "tls:// alone"),
        ({"engine": "dask", "scheduler": "tls://a:1", "tls": ("/no/such", "b", "c")}, "tls_ca = /no/such"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said.replace("(", r"\(")):
        engine_for(Choice(**fields))
