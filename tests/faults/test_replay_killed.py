"""`kill -9` in the middle of a replay, again and again: it ends with the orders and numbers of an undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from tests.conftest import REPOSITORY
from tests.trading.conftest import fill_market, sample_lake  # noqa: F401 - a fixture of the neighbours
from trading.models import ReplayRun, Run
from trading.states import ReplayState, RunState

KILLS = 3
RANGE = ("--from", "2012-01-03", "--to", "2012-02-14")
PATIENCE_SECONDS = 300
pytestmark = pytest.mark.django_db(transaction=True)


def environment(lake: Path, tmp_path: Path) -> dict[str, str]:
    """Return variables with which a process works on this test's database and bars."""
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}@/{database['NAME']}?host={quote(str(database['HOST']), safe='')}"
    if database["PORT"]:
        url += f"&port={database['PORT']}"
    return os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "LAKE_DIR": str(lake),
        "VAR_DIR": str(tmp_path),
        "ENVIRONMENT": "test",
        "DJANGO_SETTINGS_MODULE": "trading.settings",
    }


def start(variables: dict[str, str], output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "paper_run", *RANGE, "--output", str(output)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, env=variables, **pipes)


def finish(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, printed
    return printed


def kill_inside(process: subprocess.Popen[str], chance: random.Random) -> None:
    """Wait until the replay has got a little further, then a random moment, then kill."""
    before = progress()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while progress() == before:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.4))
    process.send_signal(signal.SIGKILL)
    process.communicate()


def progress() -> tuple[object, ...] | None:
    return ReplayRun.objects.order_by("-pk").values_list("pk", "stage_date", "stage").first()


def test_killed_replay_ends_like_an_undisturbed_one(sample_lake: Path, tmp_path: Path) -> None:  # noqa: F811
    fill_market()
    variables = environment(sample_lake, tmp_path)
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    for _ in range(KILLS):
        kill_inside(start(variables, tmp_path / "killed.json"), chance)
    printed = finish(start(variables, tmp_path / "killed.json"))
    assert "resuming" in printed, seed
    assert ReplayRun.objects.get().state == ReplayState.COMPLETED
    finish(start(variables, tmp_path / "whole.json"))
    killed, whole = (json.loads((tmp_path / name).read_text()) for name in ("killed.json", "whole.json"))
    for part in ("orders", "days", "results", "identity"):
        assert killed[part] == whole[part], f"{part} differ, seed {seed}"
    assert len(whole["days"]) == 30
    assert killed["account"] != whole["account"]
    assert set(Run.objects.values_list("state", flat=True)) == {RunState.COMPLETED, RunState.SKIPPED}
