"""Compare the desk's book with its broker's, now."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from rich.table import Table

from execution.brokers.base import BrokerError
from execution.brokers.registry import broker_for
from execution.errors import ReconciliationUnderWay
from execution.models import Account, ReconciliationRun
from execution.reconciliation.breaks import live_breaks
from execution.reconciliation.forced import may_trade
from execution.reconciliation.runs import reconcile
from execution.reconciliation.strangers import set_strangers
from marketdata.clock import wall_now
from ops_console.api.answers.reconciliation import break_answer, run_answer, status_answer
from ops_console.management.operator_command import (
    DONE,
    HALTED,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    one_line,
    operating_system_user,
)
from risk.errors import InvalidReason

BROKEN = HALTED


class Command(OperatorCommand):
    """Run one comparison, or tell how the last one ended."""

    help = (
        "Compares orders, executions, positions and cash with the broker. What needs nobody's word is repaired; what\n"
        "differs is listed with what may have happened and what a repair would do. Decide about it in the console or\n"
        "over the API. One comparison of an account runs at a time."
    )
    examples = (
        ("", "compare now"),
        ("--status", "what the last comparison said, without asking the broker"),
        ("--json", "for scripts"),
        ('--strangers quarantine --reason "nobody else may trade here"', "take no orders of others into the book"),
    )
    exit_codes = {
        DONE: "both books agree, or what differs was accepted",
        REFUSED: "refused, the line says why (another comparison is under way)",
        BROKEN: "the books differ: nothing is sent until somebody has decided",
        UNKNOWN: "no verdict: the broker or the database gives no whole answer",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--account", help="name of the account (default: the desk's)")
        parser.add_argument("--operator", help="who does it (default: the user of the operating system)")
        parser.add_argument("--status", action="store_true", help="only tell how it stands")
        parser.add_argument(
            "--strangers",
            choices=Account.Strangers.values,
            help="instead of comparing: what becomes of orders and positions of others from now on; needs --reason",
        )
        parser.add_argument("--reason", default="", help="why, 10 to 500 characters; with --strangers")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare, unless only the status is wanted, and show what came of it."""
        account = self._account(options["account"])
        if options["reason"] and not options["strangers"]:
            raise CommandError("--reason: goes with --strangers")
        if options["strangers"]:
            self._set_strangers(account, options)
            return
        run = ReconciliationRun.objects.filter(account=account).first()
        if not options["status"]:
            run = self._run(account, options["operator"] or operating_system_user())
        account.refresh_from_db()
        if options["json"]:
            told = {**status_answer(account, wall_now()), "newest_run": None if run is None else run_answer(run)}
            self.say_json(told | {"breaks": [break_answer(row) for row in live_breaks(account)]})
        else:
            self._show(account, run)
        self.leave(DONE if may_trade(account, wall_now()) else BROKEN)

    def _account(self, name: str | None) -> Account:
        account = Account.objects.select_related("feed").filter(name=name or settings.TRADING_MODE).first()
        if account is None:
            raise CommandError(f"--account: there is no account {name or settings.TRADING_MODE!r}")
        return account

    def _set_strangers(self, account: Account, options: dict[str, Any]) -> None:
        try:
            changed = set_strangers(
                account=account,
                policy=options["strangers"],
                operator=options["operator"] or operating_system_user(),
                reason=options["reason"],
                wall_now=wall_now(),
            )
        except InvalidReason as refusal:
            raise CommandError(f"--reason: {one_line(refusal)}") from None
        if options["json"]:
            self.say_json({"account": account.name, "strangers": account.strangers, "changed": changed})
            return
        since = "from now on" if changed else "as before"
        self.say(f"{account.name}: orders and positions of others are {account.get_strangers_display()}, {since}")

    def _run(self, account: Account, operator: str) -> ReconciliationRun:
        try:
            return reconcile(
                account=account,
                broker=broker_for(account),
                trigger=ReconciliationRun.Trigger.OPERATOR,
                wall_now=wall_now(),
                started_by=operator,
            )
        except ReconciliationUnderWay as busy:
            raise CommandError(one_line(busy), returncode=REFUSED) from None
        except BrokerError as error:
            raise CommandError(f"no verdict: {one_line(error)}", returncode=UNKNOWN) from None

    def _show(self, account: Account, run: ReconciliationRun | None) -> None:
        self.say(f"{account.name}: {account.get_reconciliation_display()}")
        if run is None:
            self.say("nothing was ever compared")
            return
        self.say(
            f"run {run.pk}, {run.get_trigger_display()}, {run.started_at:%Y-%m-%d %H:%M:%S} UTC: {run.state}"
            + (f" ({run.problem})" if run.problem else "")
        )
        self.say(
            f"orders {run.orders_compared}, positions {run.positions_compared}, adopted {run.adopted}, "
            f"inferred {run.inferred}, cash entries {run.booked}"
        )
        rows = list(live_breaks(account))
        if not rows:
            return
        table = Table("id", "what", "subject", "ours", "theirs", "state", "may be", "repair")
        for row in rows:
            cells = (str(row.pk), row.kind, row.subject[:40], row.ours, row.theirs, row.state, row.cause, row.proposal)
            table.add_row(*cells)
        self.console().print(table)
