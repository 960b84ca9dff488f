"""Cancel open orders, after saying how many and how much."""

from argparse import ArgumentParser
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db.models import Q

from execution.models import Account, Order
from execution.selectors import open_orders
from execution.services.cancels import cancel_open_orders, left_to_others
from marketdata.clock import wall_now
from ops_console.management.operator_command import (
    DONE,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    confirmed,
    operating_system_user,
)
from risk.types import Origin


class Command(OperatorCommand):
    """Cancel the open orders of an account, or those of one strategy or symbol."""

    help = (
        "Cancel open orders. What was never sent is canceled at once; what the broker may hold is asked for and\n"
        "canceled by the dispatcher. New orders may follow: to stop those too, engage the kill switch.\n"
        "Orders of others at the broker, which the book has adopted, stay unless --everything is given."
    )
    examples = (
        ("", "show what is open, ask, cancel"),
        ("--strategy momentum --symbol AAPL --yes", "without asking"),
    )
    exit_codes = {
        DONE: "done, or nothing was open",
        REFUSED: "not confirmed, or refused: the line says why",
        UNKNOWN: "unknown: the database does not answer",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--account", help="name of the account (default: the desk's)")
        parser.add_argument("--strategy", help="only orders of this strategy")
        parser.add_argument("--symbol", help="only orders in this symbol")
        parser.add_argument("--everything", action="store_true", help="cancel orders that are not ours as well")
        parser.add_argument("--operator", help="who does it (default: the user of the operating system)")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text; needs --yes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show, ask, cancel."""
        if options["json"] and not options["yes"]:
            raise CommandError("--json: add --yes, there is nobody to ask")
        account = self._account(options["account"])
        wanted = Q()
        if options["strategy"]:
            wanted &= Q(strategy__name=options["strategy"])
        if options["symbol"]:
            wanted &= Q(instrument__symbol=options["symbol"].upper())
        everything = options["everything"]
        found = [each for each in open_orders(account).filter(wanted) if everything or each.origin != Origin.EXTERNAL]
        left = 0 if everything else left_to_others(account=account, orders=wanted)
        if not options["json"]:
            self.say(_summary(account, found) + (f"; {left} orders of others stay (--everything)" if left else ""))
        if found and not options["yes"] and not confirmed(f"Cancel {len(found)} orders?"):
            raise CommandError("nothing was canceled: not confirmed (--yes cancels without asking)")
        unsent, asked, _ids = cancel_open_orders(
            orders=wanted,
            account=account,
            operator=options["operator"] or operating_system_user(),
            wall_now=wall_now(),
            reason="cancel_all on the command line",
            everything=everything,
        )
        if options["json"]:
            self.say_json(
                {"account": account.name, "canceled_unsent": unsent, "cancel_requested": asked, "left_to_others": left}
            )
        elif found:
            self.say(f"canceled before they were sent: {unsent}; to be canceled at the broker: {asked}")

    def _account(self, name: str | None) -> Account:
        wanted = name or settings.TRADING_MODE
        account = Account.objects.select_related("feed").filter(name=wanted).first()
        if account is None:
            raise CommandError(f"--account: there is no account {wanted!r}")
        return account


def _summary(account: Account, orders: list[Order]) -> str:
    if not orders:
        return f"{account.name}: nothing is open"
    value = sum((order.leaves_quantity * order.reserve_price for order in orders), Decimal(0))
    symbols = sorted({order.instrument.symbol for order in orders})
    return f"{account.name}: {len(orders)} open orders over {value:,.2f} in {', '.join(symbols)}"
