from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.clock import wall_now
from marketdata.derivation import derive_actions
from marketdata.errors import MarketDataError
from marketdata.management.reporting import import_answer, import_line, progress_bar, write_json
from marketdata.providers.files import FileProvider
from marketdata.services.actions import store_actions
from marketdata.services.bars import ImportReport, import_frame
from marketdata.types import Timeframe


class Command(BaseCommand):
    help = (
        "Import raw, unadjusted bars from CSV or Parquet files (columns symbol, date or at, open, high, low, close, "
        "volume). Bars that fail the quality gate go to quarantine. Running it again changes nothing; an interrupted "
        "import goes on where it stopped. Exit code 0 when every file was read, 1 on an error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
        parser.add_argument("--timeframe", choices=Timeframe.values, default=Timeframe.DAY, help="default: 1d")
        parser.add_argument("--source", help="stored with each bar (default: the file's name)")
        parser.add_argument(
            "--derive-actions",
            action="store_true",
            help="derive splits and dividends from a column adj_close, daily bars only",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        answers = []
        for path in options["files"]:
            try:
                report = self._import(path, options)
            except MarketDataError as error:
                raise CommandError(str(error)) from error
            answers.append({"file": str(path), **import_answer(report)})
            if not options["json"]:
                self.stdout.write(import_line(str(path), report))
        if options["json"]:
            write_json(self.stdout, answers)

    def _import(self, path: Path, options: dict[str, Any]) -> ImportReport:
        provider = FileProvider(path, options["timeframe"])
        frame = provider.bars()
        source = options["source"] or provider.name
        if options["derive_actions"]:
            if "adj_close" not in frame.columns or options["timeframe"] != Timeframe.DAY:
                raise CommandError(f"{path}: --derive-actions needs daily bars with a column adj_close")
            store_actions(actions=derive_actions(frame).actions, source=source[:32])
        with progress_bar(self.stderr, path.name, hidden=options["json"]) as advance:
            return import_frame(
                frame=frame,
                source=source[:64],
                timeframe=options["timeframe"],
                wall_now=wall_now(),
                on_progress=advance,
            )
