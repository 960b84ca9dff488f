"""Examine the installation, one line a fact, with what to do."""

from argparse import ArgumentParser
from typing import Any

from marketdata.clock import wall_now
from ops_console.diagnosis import Check, Diagnosis, desk, examine, machine, servers
from ops_console.management.operator_command import DONE, UNKNOWN, OperatorCommand

CHECKS: dict[str, Check] = {
    "python": machine.check_python,
    "packages": machine.check_packages,
    "folder": machine.check_folder,
    "database": servers.check_database,
    "durability": servers.check_durability,
    "migrations": servers.check_migrations,
    "append-only": servers.check_append_only,
    "clock": machine.check_clock,
    "redis": servers.check_redis,
    "port": machine.check_port,
    "bars": desk.check_bars,
    "instruments": desk.check_instruments,
    "feed": desk.check_feed,
    "broker line": desk.check_line,
    "trading state": desk.check_trading_state,
    "book": desk.check_book,
    "invariants": desk.check_invariants,
}


class Command(OperatorCommand):
    """Run every check."""

    help = (
        "Examine this installation: Python, packages, data folder, PostgreSQL, schema, clock, Redis, ports, bars,\n"
        "feed, line to the broker, trading state, whether the book adds up and all invariants hold. Changes nothing."
    )
    examples = (("", "one line a fact; a cross says what to do"), ("--json", "for scripts"))
    exit_codes = {DONE: "all is well", UNKNOWN: "something is to be done, or could not be examined"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine and tell, line by line as it is found."""
        found = []
        for diagnosis in examine(CHECKS, wall_now()):
            found.append(diagnosis)
            if not options["json"]:
                self._tell(diagnosis)
        if options["json"]:
            self.say_json(
                [{"name": one.name, "well": one.is_well, "found": one.found, "remedy": one.remedy} for one in found]
            )
        self.leave(DONE if all(one.is_well for one in found) else UNKNOWN)

    def _tell(self, diagnosis: Diagnosis) -> None:
        sign = self.style.SUCCESS("✓") if diagnosis.is_well else self.style.ERROR("✗")
        self.say(f"{sign} {diagnosis.name}: {diagnosis.found}")
        if not diagnosis.is_well:
            self.say(f"  → {diagnosis.remedy}")
