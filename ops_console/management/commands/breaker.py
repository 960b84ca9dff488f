"""Trip, reset or show an account's circuit breaker."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.management.operator_command import (
    DATABASE_AWAY,
    DONE,
    HALTED,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    asked_reason,
    known_operator,
    one_line,
    operating_system_user,
)
from ops_console.scopes import Scope
from risk.selectors import BreakerStatus, breaker_status
from risk.services import breaker
from risk.states import BreakerState


class Command(OperatorCommand):
    """Let only reducing orders pass (trip), go back to trading (reset), or tell (status)."""

    help = (
        "A tripped breaker lets only orders pass that bring a position nearer to flat. After a reset a quiet period\n"
        "of five minutes follows, then trading goes on. Anybody with this shell may trip; a reset needs a user who\n"
        "may let trading go on. A breaker without any stored state counts as tripped."
    )
    examples = (
        ("status", "the desk's account"),
        ('trip --reason "prices jump around"', "only reducing orders from now on"),
        ('reset --operator alice --reason "feed repaired, checked"', "five minutes later trading goes on"),
        ("status --account paper-run-3 --json", "another account, for scripts"),
    )
    exit_codes = {
        DONE: "status: open (trading); trip, reset: done",
        REFUSED: "refused, the line says why",
        HALTED: "status: tripped, or in the quiet period after a reset",
        UNKNOWN: "unknown: the database does not answer",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("action", choices=("status", "trip", "reset"))
        parser.add_argument("--account", help="name of the account (default: the desk's)")
        parser.add_argument("--operator", help="who does it (default: the user of the operating system)")
        parser.add_argument("--reason", help="10 to 500 characters; asked for at a terminal")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked, then show the breaker as it stands."""
        try:
            scope = account_scope(options["account"])
            if options["action"] == "trip":
                self._trip(scope, options)
            elif options["action"] == "reset":
                self._reset(scope, options)
            status = breaker_status(scope, wall_now())
        except DATABASE_AWAY as error:
            if options["json"]:
                self.say_json({"state": "unknown", "error": one_line(error)})
            raise
        if options["json"]:
            self.say_json({name: getattr(status, name) for name in status.__dataclass_fields__})
        else:
            self.say(_described(status))
        asked_only = options["action"] == "status"
        self.leave(HALTED if asked_only and status.state != BreakerState.OPEN else DONE)

    def _trip(self, scope: str, options: dict[str, Any]) -> None:
        operator = options["operator"] or operating_system_user()
        breaker.trip(scope=scope, reason=asked_reason(options["reason"]), operator=operator, now=wall_now())

    def _reset(self, scope: str, options: dict[str, Any]) -> None:
        operator = known_operator(options["operator"] or operating_system_user(), needs=Scope.RISK)
        breaker.reset(scope=scope, reason=asked_reason(options["reason"]), operator=operator, now=wall_now())


def account_scope(name: str | None) -> str:
    """Return the scope of the named account, or of the desk's.

    :raises CommandError: there is no such account
    """
    wanted = name or settings.TRADING_MODE
    account = Account.objects.filter(name=wanted).first()
    if account is None:
        known = ", ".join(Account.objects.order_by("name").values_list("name", flat=True)[:10]) or "none yet"
        raise CommandError(f"--account: there is no account {wanted!r}; there are: {known}")
    return account.scope


def _described(status: BreakerStatus) -> str:
    text = f"{status.scope}: {status.state.upper()}"
    if status.state == BreakerState.QUIET_PERIOD:
        text += f" until {status.quiet_until:%H:%M:%S} UTC"
    if status.at is not None:
        text += f", set {status.at:%Y-%m-%d %H:%M:%S} UTC by {status.operator} ({status.cause})"
    return f"{text}: {status.reason}"
