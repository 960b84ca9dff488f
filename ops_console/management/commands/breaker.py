"""Trip, reset or show an account's circuit breaker."""

from argparse import ArgumentParser
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from rich.table import Table

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
from risk.breaker_rules import Reading
from risk.breaker_rules.readings import plain
from risk.models import RiskReading
from risk.selectors import BreakerStatus, breaker_status
from risk.services import breaker
from risk.states import BreakerState
from trading.services.risk_watch import breaches_in_force, described, latest_look, look_again
from trading.services.risk_watch.watch import as_row


class Command(OperatorCommand):
    """Let only reducing orders pass (trip), go back to trading (reset), or tell (status)."""

    help = (
        "A tripped breaker lets only orders pass that bring a position nearer to flat. After a reset a quiet period\n"
        "of five minutes follows, then trading goes on. Anybody with this shell may trip; a reset needs a user who\n"
        "may let trading go on. A breaker without any stored state counts as tripped.\n\n"
        "It trips by itself for losses, failures of the broker, stale prices and a book that differs; `status` shows\n"
        "each cause with what is seen and what is allowed. Nothing resets by itself, and a reset while a cause lasts\n"
        "is followed by the next trip: `status` and `reset` name the causes that would trip it again."
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
            account = account_named(options["account"])
            now = wall_now()
            if options["action"] == "trip":
                self._trip(account.scope, options)
            again = look_again(account=account, wall_now=now)
            if options["action"] == "reset":
                self._reset(account.scope, options, again)
            status = breaker_status(account.scope, wall_now())
        except DATABASE_AWAY as error:
            if options["json"]:
                self.say_json({"state": "unknown", "error": one_line(error)})
            raise
        if options["json"]:
            self.say_json(_document(status, again, latest_look(account)))
        else:
            self.say(_described(status))
            if options["action"] == "status":
                self._show(account, again)
        asked_only = options["action"] == "status"
        self.leave(HALTED if asked_only and status.state != BreakerState.OPEN else DONE)

    def _trip(self, scope: str, options: dict[str, Any]) -> None:
        operator = options["operator"] or operating_system_user()
        breaker.trip(scope=scope, reason=asked_reason(options["reason"]), operator=operator, now=wall_now())

    def _show(self, account: Account, again: Sequence[Reading]) -> None:
        """Print each cause with what is seen of it now."""
        table = Table(box=None, pad_edge=False)
        table.add_column("cause")
        for title in ("seen", "allowed", "used"):
            table.add_column(title, justify="right")
        table.add_column("")
        for one in again:
            unit = f" {one.rule.unit}".rstrip()
            seen = "unknown" if one.observed is None and one.rule.limit_name else f"{_number(one.observed)}{unit}"
            used = "" if one.share_pct is None else f"{_number(one.share_pct)}%"
            allowed = f"{_number(one.limit)}{unit}" if one.limit is not None else ""
            table.add_row(one.rule.label, seen.strip() or one.detail, allowed, used, one.verdict.value)
        self.console().print(table)
        look = latest_look(account)
        self.say(f"last look: {look.evaluated_at:%Y-%m-%d %H:%M:%S} UTC" if look else "last look: none yet")
        for row in breaches_in_force(account.scope):
            self.say(f"over limit: {described(row)}")

    def _reset(self, scope: str, options: dict[str, Any], again: Sequence[Reading]) -> None:
        operator = known_operator(options["operator"] or operating_system_user(), needs=Scope.RISK)
        for one in again:
            if one.is_over:
                self.stderr.write(f"would trip again: {one.sentence}")
        breaker.reset(scope=scope, reason=asked_reason(options["reason"]), operator=operator, now=wall_now())


def account_named(name: str | None) -> Account:
    """Return the named account with its feed, or the desk's.

    :raises CommandError: there is no such account
    """
    wanted = name or settings.TRADING_MODE
    account = Account.objects.select_related("feed").filter(name=wanted).first()
    if account is None:
        known = ", ".join(Account.objects.order_by("name").values_list("name", flat=True)[:10]) or "none yet"
        raise CommandError(f"--account: there is no account {wanted!r}; there are: {known}")
    return account


def _document(status: BreakerStatus, again: Sequence[Reading], look: RiskReading | None) -> dict[str, Any]:
    return {
        **{name: getattr(status, name) for name in status.__dataclass_fields__},
        "looked_at": look.evaluated_at if look else None,
        "readings": [as_row(one) for one in again],
        "would_trip_again": [one.sentence for one in again if one.is_over],
    }


def _number(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


def _described(status: BreakerStatus) -> str:
    text = f"{status.scope}: {status.state.upper()}"
    if status.state == BreakerState.QUIET_PERIOD:
        text += f" until {status.quiet_until:%H:%M:%S} UTC"
    if status.at is not None:
        text += f", set {status.at:%Y-%m-%d %H:%M:%S} UTC by {status.operator} ({status.cause})"
    return f"{text}: {status.reason}"
