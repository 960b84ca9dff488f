"""Make a strategy's signals as of a close, and show them."""

from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.table import Table

from execution.selectors import desk_account
from marketdata.clock import wall_now
from ops_console.api.answers.signals import set_answer
from ops_console.management.operator_command import DONE, REFUSED, UNKNOWN, OperatorCommand
from signals.models import SignalSet
from signals.strategies.registry import strategy_names
from trading.errors import TradingError
from trading.services.asked_signals import asked_signals


class Command(OperatorCommand):
    """Generate, store, print. Nothing is traded."""

    help = (
        "Make a strategy's signals as of a session's close and store them. Nothing is traded. A strategy that scores\n"
        "with a model uses its active one. Names without a fresh bar are excluded and named with the reason."
    )
    examples = (
        ("--strategy momentum", "every tradable name, as of the newest close the desk has seen"),
        ("--strategy alpha_baseline --as-of 2012-06-14 --symbols AAPL IBM MSFT --json", "three names, as JSON"),
    )
    exit_codes = {
        DONE: "made, or stored before",
        REFUSED: "refused, the line says why; nothing was stored",
        UNKNOWN: "the database does not answer",
    }

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--strategy", required=True, choices=strategy_names(), help="who is asked")
        parser.add_argument("--as-of", metavar="DATE", help="a session; default: the newest close the desk has seen")
        parser.add_argument("--symbols", nargs="+", type=str.upper, metavar="SYMBOL", help="default: all tradable ones")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, and tell."""
        now = wall_now()
        account = desk_account(str(settings.TRADING_MODE))
        try:
            made, new = asked_signals(
                strategy=options["strategy"],
                symbols=options["symbols"],
                as_of=_day(options["as_of"]),
                market_now=now if account is None else account.feed.market_now(now),
                wall_now=now,
            )
        except TradingError as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        if options["json"]:
            self.say_json({**set_answer(made), "new": new})
            return
        self._show(made, new=new)

    def _show(self, made: SignalSet, *, new: bool) -> None:
        model = "" if made.model_version is None else f", model {made.model_version}"
        self.say(f"{made}{model}: {'new' if new else 'stored before'}, set {made.pk}, data {made.data_hash[:12]}")
        table = Table("rank", "symbol", "score", "weight", "features of", "excluded")
        for row in made.signals.select_related("instrument").order_by("rank", "instrument__symbol"):
            table.add_row(
                "" if row.rank is None else str(row.rank),
                row.instrument.symbol,
                "" if row.score is None else f"{row.score:.6g}",
                f"{row.target_weight:f}" if row.target_weight else "",
                "" if row.feature_date is None else row.feature_date.isoformat(),
                row.get_excluded_reason_display(),
            )
        self.console().print(table)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--as-of: got {text!r}, allowed: a date such as 2012-06-14", returncode=REFUSED) from None
