"""What the commands for operators share: help with examples, exit codes, one-line errors, who is asking and why."""

import getpass
import json
import os
import sys
from argparse import RawDescriptionHelpFormatter
from typing import IO, Any, ClassVar, cast

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, connection
from rich.console import Console

from execution.errors import ExecutionError
from marketdata.errors import MarketDataError
from ops_console.scopes import Scope, scope_of_roles
from risk.errors import RiskError
from signals.errors import SignalError
from signals.parameters import BadParameter

DONE, REFUSED, HALTED, UNKNOWN = 0, 1, 3, 4
CONNECT_SECONDS = 2
WIDTH = 140
DATABASE_AWAY = (DatabaseError, InterfaceError)
REFUSALS = (RiskError, ExecutionError, MarketDataError, SignalError, BadParameter)


class HelpFormatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Keep the lines of description and examples as they are written."""


def one_line(error: BaseException) -> str:
    """Return the first line of an error, without its class."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class OperatorCommand(BaseCommand):
    """A command that a person types, often in a hurry: it explains itself and fails in one line.

    Subclasses give `examples` (a line to type, what it does) and `exit_codes`.
    """

    requires_system_checks = ()
    examples: ClassVar[tuple[tuple[str, str], ...]] = ()
    exit_codes: ClassVar[dict[int, str]] = {DONE: "done", REFUSED: "refused, the line says why"}

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Put examples and exit codes under the options."""
        kwargs.setdefault("epilog", self._epilog(subcommand))
        kwargs.setdefault("formatter_class", HelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def _epilog(self, subcommand: str) -> str:
        lines = ["examples:"]
        for typed, meaning in self.examples:
            lines += [f"  manage.py {subcommand} {typed}".rstrip(), f"      {meaning}"]
        lines += ["", "exit codes:", *(f"  {code}  {meaning}" for code, meaning in sorted(self.exit_codes.items()))]
        return "\n".join(lines)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, and turn what services refuse and a database that is away into one line."""
        # A host that swallows packets must not keep a person waiting: libpq by itself would wait for minutes.
        connection.settings_dict["OPTIONS"].setdefault("connect_timeout", CONNECT_SECONDS)
        try:
            return super().execute(*args, **options)
        except REFUSALS as error:
            raise CommandError(one_line(error), returncode=REFUSED) from error
        except DATABASE_AWAY as error:
            raise CommandError(f"the database does not answer: {one_line(error)}", returncode=UNKNOWN) from error

    def say(self, line: str = "") -> None:
        """Write one line for the person at the terminal."""
        self.stdout.write(line)

    def say_json(self, data: Any) -> None:
        """Write one JSON document; money and quantities are strings."""
        self.stdout.write(json.dumps(data, cls=DjangoJSONEncoder, indent=2))

    def console(self) -> Console:
        """Return where tables go; away from a terminal they get room instead of being cut."""
        width = None if self.stdout.isatty() else WIDTH
        return Console(file=cast(IO[str], self.stdout), highlight=False, width=width)

    def leave(self, code: int) -> None:
        """End the command with an exit code that tells."""
        if code != DONE:
            sys.exit(code)


def operating_system_user() -> str:
    """Return who is logged in on this machine, as far as it knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def known_operator(username: str, *, needs: Scope, option: str = "--operator") -> str:
    """Return the name when it belongs to an active user whose roles allow that.

    :raises CommandError: no such user, switched off, or without the right
    """
    user = User.objects.prefetch_related("groups").filter(username=username).first()
    if user is None:
        raise CommandError(f"{option}: there is no user {username!r}")
    if not user.is_active:
        raise CommandError(f"{option}: user {username} is switched off")
    held = scope_of_roles([group.name for group in user.groups.all()], is_superuser=user.is_superuser)
    if held is None or not held.covers(needs):
        raise CommandError(f"{option}: user {username} may not {needs.label}")
    return username


def asked_reason(given: str | None) -> str:
    """Return the reason given, or ask for one at a terminal.

    :raises CommandError: none was given and nobody can be asked
    """
    if given is not None:
        return given
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError('--reason: missing; say why in 10 to 500 characters, e.g. --reason "feed looks wrong"')
    return input("Reason (10 to 500 characters): ")


def confirmed(question: str) -> bool:
    """Ask a yes-or-no question at the terminal; without one the answer is no."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
