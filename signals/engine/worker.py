"""What happens in a worker's process, whoever started it.

A worker gets no database, no secrets and no settings of the installation: it computes on what it is sent.
"""

import hashlib
import multiprocessing
import os
import platform
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "polars", "lightgbm", "optuna")
"""Whose versions decide numbers."""
CODE = ("signals", "marketdata")


@dataclass(frozen=True, slots=True)
class Done:
    """The answer of one part."""

    answer: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """What the work said when it failed, in words: not every error can be sent to another process."""

    kind: str
    message: str
    trace: str


def prepare() -> None:
    """Make the modules importable that define stored things; their tables are out of reach here."""
    import django
    from django.conf import settings

    if settings.configured:
        return
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *reversed(CODE)],
        DATABASES={},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()


def prepare_child() -> None:
    """Prepare a process of a pool, which is not to outlive who started it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=[parent.sentinel], name="follow-parent", daemon=True).start()
    prepare()


def _follow(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def attempt(work: Callable[[Any, Any], Any], shared: Any, part: Any) -> Done | Failed:
    """Do one part; what it raises comes back as words."""
    try:
        return Done(work(shared, part))
    except Exception as error:  # noqa: BLE001 - it crosses to another process, where it is raised again
        return Failed(type(error).__name__, str(error), traceback.format_exc())


def attempt_alike(ours: dict[str, str], work: Callable[[Any, Any], Any], shared: Any, part: Any) -> Done | Failed:
    """Do one part, unless this process would compute other numbers than who asks."""
    other = differences(ours, described())
    if other:
        return Failed("OtherVersion", f"this worker would compute other numbers: {other}", "")
    return attempt(work, shared, part)


def differences(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Say in what a worker differs from us; nothing where it computes the same."""
    return "; ".join(f"{name} {theirs[name]}, here {ours[name]}" for name in ours if theirs[name] != ours[name])


@cache
def described() -> dict[str, str]:
    """Return what decides the numbers that this process computes: code, libraries, language, machine."""
    found = {name: version(name) for name in LIBRARIES}
    return {"code": code_digest(), "python": platform.python_version(), "machine": platform.machine(), **found}


@cache
def code_digest() -> str:
    """Return 12 hexadecimal digits over the sources that workers run."""
    root = Path(__file__).resolve().parent.parent.parent
    digest = hashlib.sha256()
    for app in CODE:
        for path in sorted((root / app).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
