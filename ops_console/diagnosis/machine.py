"""The machine: Python, packages, the data folder, the clock, the ports."""

import re
import shutil
import socket
import sys
import tempfile
from datetime import datetime
from importlib import metadata
from pathlib import Path

from django.conf import settings
from django.db import connection

from ops_console.diagnosis import Diagnosis
from ops_console.selectors import supervised_processes

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 2 * 1024**3
LARGEST_CLOCK_DIFFERENCE_SECONDS = 2
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;#]+)")
SHOWN = 5


def check_python(wall_now: datetime) -> Diagnosis:
    """Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, OLDEST_PYTHON))
    well = sys.version_info >= OLDEST_PYTHON
    return Diagnosis("python", found, "" if well else f"install Python {wanted} or later and make the environment anew")


def check_packages(wall_now: datetime) -> Diagnosis:
    """Every pinned package is installed in the pinned version."""
    pins = pinned_packages(settings.BASE_DIR / "requirements.txt")
    wrong = []
    for name, version in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            wrong.append(f"{name} {installed} (pinned {version})")
    if not wrong:
        return Diagnosis("packages", f"{len(pins)} as pinned")
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return Diagnosis("packages", f"{', '.join(wrong[:SHOWN])}{more}", "pip install -r requirements.txt")


def pinned_packages(path: Path) -> dict[str, str]:
    """Return the versions that a requirements file pins, by package."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(match.groups() for line in lines if (match := PIN.match(line)))  # type: ignore[misc]


def check_folder(wall_now: datetime) -> Diagnosis:
    """The data folder can be written and the disk has room."""
    folder = Path(settings.VAR_DIR)
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return Diagnosis("folder", f"{folder}: {error.strerror}", "make VAR_DIR a folder this user can write")
    free = shutil.disk_usage(folder).free
    found = f"{folder} is writable, {free / 1024**3:.1f} GiB free"
    return Diagnosis(
        "folder", found, "" if free >= LEAST_FREE_BYTES else "make room: below 2 GiB a busy day may fill it"
    )


def check_clock(wall_now: datetime) -> Diagnosis:
    """This machine and the database agree on the time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [theirs] = cursor.fetchone()
    apart = abs((theirs - wall_now).total_seconds())
    well = apart <= LARGEST_CLOCK_DIFFERENCE_SECONDS
    found = f"{wall_now:%Y-%m-%d %H:%M:%S} UTC, {apart:.1f} s from the database's"
    return Diagnosis("clock", found, "" if well else "set both clocks by NTP: order times and leases depend on them")


def check_port(wall_now: datetime) -> Diagnosis:
    """The console's port is free, or ours."""
    port = settings.PORT
    ours = supervised_processes(settings.VAR_DIR).get("web", {}).get("alive", False)
    if ours:
        return Diagnosis("port", f"{port} is used by the console")
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return Diagnosis("port", f"{port} is taken by another program", "stop it, or start with PORT=…")
    return Diagnosis("port", f"{port} is free")
