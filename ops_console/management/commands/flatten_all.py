"""Cancel open orders and close positions, after saying how many and how much."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from execution.brokers.base import BrokerError
from execution.halting.procedure import begin
from execution.halting.residue import left
from execution.models import Account, HaltProcedure
from execution.models.halting import RUNNING
from execution.selectors import desk_account
from execution.types import HaltWish
from marketdata.clock import wall_now
from ops_console.management.halt_watch import GOOD_ENDS, as_dict, described, watch
from ops_console.management.operator_command import (
    DONE,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    asked_reason,
    confirmed,
    operating_system_user,
)
from risk.services.kill_switch import require_scope
from risk.services.reasons import require_reason
from risk.states import SwitchLevel
from trading.management.halt_here import carry_out
from trading.services.halt_preview import dispatcher_note, preview, silent_seconds

RESIDUE = 5
SECONDS = 60


class Command(OperatorCommand):
    """Close every position of the desk, or those of one strategy or symbol."""

    help = (
        "Cancel open orders, wait until they are canceled, then close positions with reduce-only market orders sized\n"
        "to what the broker holds. Trading goes on: to stop it as well, use `kill_switch engage --flatten`."
    )
    examples = (
        ('--reason "end of the experiment"', "show what is held, ask, close, wait for the proof"),
        ('--symbol AAPL --yes --reason "merger tomorrow"', "one name, without asking"),
    )
    exit_codes = {
        DONE: "verified flat at the broker, or nothing was held",
        REFUSED: "not confirmed, or refused: the line says why",
        UNKNOWN: "unknown: the database does not answer",
        RESIDUE: "something is left, or was not proved in time",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        scope = parser.add_mutually_exclusive_group()
        scope.add_argument("--strategy", help="only positions of this strategy")
        scope.add_argument("--symbol", help="only positions in this symbol")
        parser.add_argument("--reason", help="10 to 500 characters; asked for at a terminal")
        parser.add_argument("--operator", help="who does it (default: the user of the operating system)")
        parser.add_argument("--everything", action="store_true", help="cancel orders that are not ours as well")
        parser.add_argument("--at-open", action="store_true", help="while the market is closed: at the next open")
        parser.add_argument("--direct", action="store_true", help="carry it out here: the dispatcher is dead")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text; needs --yes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show, ask, close, wait."""
        if options["json"] and not options["yes"]:
            raise CommandError("--json: add --yes, there is nobody to ask")
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            raise CommandError(f"there is no account {settings.TRADING_MODE!r}: start the platform once")
        scope = _scope(account, options)
        require_scope(scope)
        reason = require_reason(asked_reason(options["reason"]))
        found = preview(
            scope=scope, level=SwitchLevel.FLATTENING, account=account, wall_now=wall_now(), at_open=options["at_open"]
        )
        summary = f"{scope}: {found.open_orders} open orders, {found.positions} positions over {found.gross:,.2f} gross"
        if not options["json"]:
            self.say(summary)
        if not found.open_orders + found.positions and not options["everything"]:
            self.leave(DONE)
            return
        if not options["yes"] and not confirmed("Cancel and close?"):
            raise CommandError("nothing was closed: not confirmed (--yes closes without asking)")
        self.leave(self._close(account, scope, reason, options))

    def _close(self, account: Account, scope: str, reason: str, options: dict[str, Any]) -> int:
        work = None
        if options["direct"]:
            try:
                work = carry_out(account, now=wall_now)
            except BrokerError as error:
                raise CommandError(f"nothing was closed: {error.reason}") from error
        running = HaltProcedure.objects.filter(account=account, scope=scope, flatten=True, state__in=RUNNING)
        procedure = running.first() or begin(
            account=account,
            wish=HaltWish(
                scope=scope,
                level=SwitchLevel.ACTIVE,
                operator=options["operator"] or operating_system_user(),
                reason=reason,
                flatten=True,
                everything=options["everything"],
                at_open=options["at_open"],
            ),
            wall_now=wall_now(),
        )
        note = "" if work else dispatcher_note(silent_seconds(wall_now()))
        if note and not options["json"]:
            self.say(f"  {note}")
        say = (lambda _: None) if options["json"] else self.say
        halt = watch(procedure.pk, seconds=SECONDS, say=say, work=work)
        if options["json"]:
            self.say_json(as_dict(halt))
        else:
            for row in left(halt):
                self.say(f"  {described(row)}")
        return DONE if halt.state in GOOD_ENDS else RESIDUE


def _scope(account: Account, options: dict[str, Any]) -> str:
    if options["strategy"]:
        return f"strategy:{options['strategy']}"
    return f"symbol:{options['symbol'].upper()}" if options["symbol"] else account.scope
