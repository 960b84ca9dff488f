"""Show and change the limits of the gate."""

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import CommandError
from rich.table import Table

from execution.models import Strategy
from marketdata.clock import wall_now
from marketdata.models import Instrument
from ops_console.management.operator_command import (
    DONE,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    asked_reason,
    known_operator,
    operating_system_user,
)
from ops_console.scopes import Scope
from risk.limits import SETTABLE, in_force
from risk.models import Limit
from risk.selectors import limit_book, settable_defaults
from risk.services.limits import set_limit

DEFAULT = "default"


class Command(OperatorCommand):
    """List limits in force, or set one."""

    help = (
        "Limits of the gate: defaults, and overrides for all, a strategy, a symbol or both; the most specific one\n"
        "counts for the strategy, and no strategy's own override moves what binds the account. A change is in force\n"
        "with the next order, and leaves a row that says who and why."
    )
    examples = (
        ("list", "what is in force, and every override"),
        ("list --strategy momentum --symbol AAPL", "what binds that strategy in that name"),
        ('set max_gross_notional 400000 --operator alice --reason "less room over the holidays"', "for all"),
        ('set max_position_quantity default --strategy momentum --operator alice --reason "trial is over"', "back"),
    )
    exit_codes = {DONE: "done", REFUSED: "refused, the line says why", UNKNOWN: "the database does not answer"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("list", help="show what is in force")
        change = actions.add_parser("set", help="set one limit")
        change.add_argument("name", metavar="NAME", help="which limit, as `list` shows it")
        change.add_argument(
            "value", metavar="VALUE", help="a number in the limit's unit, or `default` to go back to it"
        )
        change.add_argument("--operator", help="who does it (default: the user of the operating system)")
        change.add_argument("--reason", help="10 to 500 characters; asked for at a terminal")
        for action in (show, change):
            action.add_argument("--strategy", default="", help="of this strategy only")
            action.add_argument("--symbol", default="", type=str.upper, help="in this symbol only")
            action.add_argument("--json", action="store_true", help="one JSON document instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        """List or set."""
        if options["strategy"] and not Strategy.objects.filter(name=options["strategy"]).exists():
            raise CommandError(f"--strategy: there is no strategy {options['strategy']!r}")
        if options["symbol"] and not Instrument.objects.filter(symbol=options["symbol"]).exists():
            raise CommandError(f"--symbol: there is no instrument {options['symbol']!r}")
        if options["action"] == "set":
            self._set(options)
        else:
            self._list(options)

    def _set(self, options: dict[str, Any]) -> None:
        change = set_limit(
            name=options["name"],
            value=_value(options["value"]),
            strategy=options["strategy"],
            symbol=options["symbol"],
            operator=known_operator(options["operator"] or operating_system_user(), needs=Scope.RISK),
            reason=asked_reason(options["reason"]),
            now=wall_now(),
        )
        if options["json"]:
            self.say_json({"id": change.pk, "name": change.name, "old": change.old_value, "new": change.new_value})
            return
        default = f"default {settable_defaults()[change.name].normalize():f}"
        old, new = (default if value is None else _shown(value) for value in (change.old_value, change.new_value))
        self.say(f"{change.name} {_scope(change.strategy, change.symbol)}: {old} -> {new}, from the next order on")

    def _list(self, options: dict[str, Any]) -> None:
        book = limit_book().resolve(strategy=options["strategy"], symbol=options["symbol"], at=wall_now())
        rows: list[dict[str, Any]] = [
            {
                "name": name,
                "label": item.label,
                "unit": item.unit,
                "account": in_force(book, name)[0],
                "strategy": in_force(book, name)[1],
            }
            for name, item in SETTABLE.items()
        ]
        overrides = list(Limit.objects.values("name", "strategy", "symbol", "value"))
        if options["json"]:
            self.say_json({"version": book.version, "limits": rows, "overrides": overrides})
            return
        console = self.console()
        table = Table(
            "limit", "account", "strategy", "unit", "what", title=_scope(options["strategy"], options["symbol"])
        )
        for row in rows:
            table.add_row(row["name"], _shown(row["account"]), _shown(row["strategy"]), row["unit"], row["label"])
        console.print(table)
        for one in overrides:
            console.print(f"override {one['name']} {_scope(one['strategy'], one['symbol'])} = {_shown(one['value'])}")


def _value(text: str) -> Decimal | None:
    if text == DEFAULT:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(f"value: got {text!r}, a number or `default` is needed") from None


def _scope(strategy: str, symbol: str) -> str:
    return f"({strategy or 'all strategies'}, {symbol or 'all symbols'})"


def _shown(value: Decimal) -> str:
    return f"{value.normalize():f}"
