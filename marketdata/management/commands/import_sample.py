from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.clock import wall_now
from marketdata.errors import MarketDataError
from marketdata.management.reporting import import_answer, import_line, progress_bar, write_json
from marketdata.services.sample import import_sample


class Command(BaseCommand):
    help = (
        "Import the built-in sample (AAPL, FB, GOOG, IBM, MSFT, daily, 2000 to 2013) with its splits and dividends. "
        "Running it again changes nothing. Exit code 0 when the sample is there, 1 on an error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="only these (default: all five)")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with progress_bar(self.stderr, "sample", hidden=options["json"]) as advance:
                report = import_sample(wall_now=wall_now(), symbols=options["symbols"], on_progress=advance)
        except MarketDataError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            write_json(self.stdout, {**import_answer(report.bars), "new_actions": report.new_actions})
            return
        actions = f"\n{report.new_actions} corporate actions new" if report.new_actions else ""
        self.stdout.write(import_line("sample", report.bars) + actions)
