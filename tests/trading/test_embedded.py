"""Embedded servers with real processes: shared, started once, stopped by the last, alive after a kill."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from trading import embedded
from trading.embedded import Layout

REPOSITORY = Path(__file__).resolve().parent.parent.parent
WAIT_SECONDS = 60
USE = """
import sys
from pathlib import Path
from trading.embedded import layout_of, use_servers
use_servers(layout_of(Path(sys.argv[1])), postgres=True, redis=True)
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
"""
FORK = """
import os, sys
from pathlib import Path
from trading.embedded import layout_of, use_servers
use_servers(layout_of(Path(sys.argv[1])), postgres=True, redis=True)
if os.fork() == 0:
    sys.stdin.readline()
    os._exit(0)
sys.stdout.write("ready\\n")
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def layout() -> Iterator[Layout]:
    """A VAR_DIR of its own, short enough for sockets, with the settings of tests."""
    parent = Path(tempfile.mkdtemp(prefix="portcullis-servers-"))
    (parent / "test").mkdir()
    made = embedded.layout_of(parent / "test")
    yield made
    embedded.main(["stop", str(made.root)])
    shutil.rmtree(parent)


@pytest.fixture
def start(layout: Layout) -> Iterator[Start]:
    """Start a program that uses the servers until its standard input closes."""
    started: list[subprocess.Popen[str]] = []

    def start_one(program: str = USE) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, str(layout.root)]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0


def postgres_pid(layout: Layout) -> int | None:
    process = embedded.postmaster(layout)
    return process.pid if process is not None else None


def redis_runs(layout: Layout) -> bool:
    return embedded.ask_redis(layout, b"PING") == b"+PONG\r\n"


def test_two_at_once_share_the_servers_and_the_last_stops_them(layout, start):
    first, second = start(), start()
    ready(first)
    ready(second)
    pid = postgres_pid(layout)
    assert pid is not None
    leave(first)
    assert postgres_pid(layout) == pid
    assert redis_runs(layout)
    leave(second)
    assert postgres_pid(layout) is None
    assert not redis_runs(layout)


def test_data_outlive_a_stop(layout, start):
    user = ready(start())
    with embedded.connect(layout, embedded.DATABASE) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    leave(user)
    user = ready(start())
    with embedded.connect(layout, embedded.DATABASE) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (1,)
    leave(user)


def test_a_killed_user_is_not_waited_for(layout, start):
    killed, user = ready(start()), ready(start())
    killed.send_signal(signal.SIGKILL)
    killed.wait(WAIT_SECONDS)
    leave(user)
    assert postgres_pid(layout) is None


def test_killed_servers_start_again(layout, start):
    user = ready(start())
    pid = postgres_pid(layout)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.kill(int((layout.run / "redis.pid").read_text()), signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=WAIT_SECONDS)
    assert (layout.postgres_data / "postmaster.pid").exists()
    other = ready(start())
    assert postgres_pid(layout) not in {None, pid}
    assert redis_runs(layout)
    leave(user)
    leave(other)


def test_the_pid_of_a_dead_server_may_be_somebody_elses(layout, start):
    leave(ready(start()))
    marks = f"{os.getpid()}\n{layout.postgres_data}\n1\n5432\n{layout.postgres_socket_dir}\n\n1 1\nready\n"
    (layout.postgres_data / "postmaster.pid").write_text(marks)
    assert embedded.postmaster(layout) is None
    leave(ready(start()))


def test_a_forked_child_keeps_the_servers_after_its_parent(layout, start):
    parent = ready(start(FORK))
    parent.wait(WAIT_SECONDS)
    assert postgres_pid(layout) is not None
    leave(parent)
    leave(ready(start()))
    assert postgres_pid(layout) is None


def test_another_folder_has_other_servers(layout, start, settings):
    user = ready(start())
    ours = settings.DATABASES["default"]["HOST"]
    with (
        embedded.connect(layout, embedded.DATABASE) as theirs,
        psycopg.connect(host=ours, user="postgres", dbname="postgres") as connection,
    ):
        folders = [one.execute("SHOW data_directory").fetchone() for one in (theirs, connection)]
    assert folders[0] != folders[1]
    leave(user)


def test_sockets_of_deep_folders_are_short_and_their_own():
    deep = Path("/") / ("d" * 60) / ("e" * 60)
    one, two = embedded.layout_of(deep / "one"), embedded.layout_of(deep / "two")
    assert len(str(one.postgres_socket_dir / ".s.PGSQL.5432")) < embedded.SOCKET_PATH_LIMIT
    assert one.redis_socket != two.redis_socket
    assert one.postgres_socket_dir != two.postgres_socket_dir


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["manage.py", "migrate"], True),
        (["/x/daphne/__main__.py", "trading.asgi:application"], True),
        (["manage.py"], False),
        (["manage.py", "paper_run", "--help"], False),
        (["manage.py", "help", "paper_run"], False),
        (["manage.py", "check", "--deploy"], False),
    ],
)
def test_only_commands_that_need_servers_start_them(arguments, needed, monkeypatch):
    monkeypatch.delenv("PORTCULLIS_NO_SERVERS", raising=False)
    assert embedded.needed(arguments) is needed


@pytest.mark.parametrize(
    ("arguments", "theirs"),
    [
        (["manage.py", "kill_switch", "engage"], True),
        (["/srv/manage.py", "status"], True),
        (["manage.py", "migrate", "status"], False),
        (["manage.py"], False),
        (["pytest", "status"], False),
    ],
)
def test_commands_for_emergencies_wait_for_no_redis(arguments, theirs):
    assert embedded.for_operators(arguments) is theirs
