"""Where a benchmark works: servers and a database of its own, never those of the desk."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = "tests.bench.desk_settings"
FLOOR_SETTINGS = "tests.bench.floor.settings"
# What the caller's shell may say about his desk, and a benchmark must not hear.
FOREIGN = (
    "DATABASE_URL", "REDIS_URL", "TRADING_MODE", "DRY_RUN", "LIVE_TRADING_ACCOUNT", "STRATEGY_ID", "CAPITAL",
    "MAX_POSITION_SIZE", "DATA_FRESHNESS_MINUTES", "OUTLIER_THRESHOLD", "ENVIRONMENT", "PROCESS_ROLE",
    "ALLOWED_HOSTS", "ALLOWED_ORIGINS", "PORT", "DEBUG", "LAKE_DIR", "SECRET_KEY", "TRUSTED_PROXY_IPS",
    "GUNICORN_CMD_ARGS", "PAPER_RUN_SYMBOLS", "PAPER_RUN_CAPITAL", "PAPER_RUN_MAX_POSITION_SIZE",
)  # fmt: skip


def move_in() -> None:
    """Point this process and its children to the benchmark's own VAR_DIR, before any settings are read."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    root = Path(os.environ.get("VAR_DIR") or REPOSITORY / "var").resolve()
    os.environ["VAR_DIR"] = str(root / "bench")
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS


def fresh_database() -> None:
    """Start Django on an empty, migrated database: rows of an earlier run would make this one slower."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from trading import embedded

    with embedded.connect(embedded.layout_of(settings.VAR_DIR), "postgres") as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {embedded.DATABASE} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {embedded.DATABASE}")
    call_command("migrate", verbosity=0)


def child_environment(**changes: str) -> dict[str, str]:
    """Return the environment for a process of the benchmark."""
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"} | changes


@contextmanager
def running(command: list[str], *, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the block is left; its output goes to a file."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def python_module(module: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a module of the benchmark in its own process and return its output.

    :raises subprocess.CalledProcessError: it failed; its standard error is in the exception
    """
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True, text=True, capture_output=True, cwd=REPOSITORY, env=child_environment(), **options,
    )  # fmt: skip


def log_file(name: str) -> Path:
    """Return where the output of a process of the benchmark goes."""
    folder = Path(os.environ["VAR_DIR"]) / "log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"bench-{name}.log"
