"""Starts an application under gunicorn on a free port."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.workplace import REPOSITORY, child_environment, log_file, running

CONFIGURATION = REPOSITORY / "deploy" / "gunicorn.conf.py"  # what `make up` serves the API with
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Served:
    """A running application."""

    name: str
    pid: int
    port: int


class DidNotStartError(Exception):
    """The server did not open its port; the text names its log."""


@contextmanager
def served(name: str, application: str, *options: str, **environment: str) -> Iterator[Served]:
    """Serve a WSGI application as the platform serves its API, on the loopback, until the block is left.

    :raises DidNotStartError: nothing answers on its port
    """
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "-c", str(CONFIGURATION), "--chdir", str(REPOSITORY),
        "--bind", f"127.0.0.1:{port}", *options, application,
    ]  # fmt: skip
    log = log_file(name)
    with running(command, environment=child_environment(**environment), log=log) as process:
        _wait_for(process, port, str(log))
        yield Served(name, process.pid, port)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], port: int, log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise DidNotStartError(f"nothing listens on port {port}; see {log}")
