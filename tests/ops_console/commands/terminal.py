"""Run a command as a person would, and look at what it printed and how it ended."""

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from ops_console.services.roles import ensure_roles


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def run(*arguments: str) -> Outcome:
    """Run `manage.py` with these arguments in this process."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err, no_color=True)
        code = 0
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    except CommandError as refusal:
        err.write(str(refusal))
        code = refusal.returncode
    return Outcome(code, out.getvalue(), err.getvalue())


class Keyboard(io.StringIO):
    """A terminal at which somebody has typed."""

    def isatty(self) -> bool:
        return True


def typing(monkeypatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard(text))


def make_user(username: str, role: str | None = None, **fields: Any) -> User:
    ensure_roles()
    user = User.objects.create_user(username, password="not-a-real-password", **fields)
    if role is not None:
        user.groups.add(Group.objects.get(name=role))
    return user
