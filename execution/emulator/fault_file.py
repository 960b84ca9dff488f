"""A plan of faults in a file: one JSON list, or one fault on each line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from execution.emulator.faults import FaultError, FaultPlan, read_fault


def read_plan(path: Path, *, seed: int) -> FaultPlan:
    """Return the plan in a file.

    :raises FaultError: naming the file, and the line or the place in the list
    """
    plan = FaultPlan(seed=seed)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaultError(f"{path} cannot be read: {error}") from None
    for where, given in _places(path, text):
        if not isinstance(given, dict):
            raise FaultError(f"{where}: {given!r} is not allowed; an object is")
        try:
            plan.add(read_fault(given))
        except FaultError as error:
            raise FaultError(f"{where}: {error}") from None
    return plan


def _places(path: Path, text: str) -> list[tuple[str, Any]]:
    if text.lstrip().startswith("["):
        return [(f"{path}, fault {number}", given) for number, given in enumerate(_json(text, str(path)), 1)]
    lines = ((f"{path}, line {number}", line) for number, line in enumerate(text.splitlines(), 1))
    return [(where, _json(line, where)) for where, line in lines if line.strip()]


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FaultError(f"{where}: not JSON: {error}") from None
