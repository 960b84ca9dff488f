from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.clock import wall_now
from marketdata.derivation import derive_actions
from marketdata.errors import FileFormatError, MarketDataError
from marketdata.management.reporting import import_answer, import_line, progress_bar, write_json
from marketdata.providers.alpaca.configuration import FEEDS
from marketdata.providers.files import FileProvider
from marketdata.services.actions import store_actions
from marketdata.services.alpaca_import import AlpacaReport, import_from_alpaca
from marketdata.services.bars import ImportReport, import_frame
from marketdata.types import Timeframe

ALPACA = "alpaca"


class Command(BaseCommand):
    help = (
        "Import raw, unadjusted bars from CSV or Parquet files (columns symbol, date or at, open, high, low, close, "
        "volume), or from Alpaca: import_bars --source alpaca --symbols AAPL IBM --from 2020-01-01. --symbols, --from "
        "and --to choose from files as well. Bars that fail the quality gate go to quarantine. Running it again "
        "changes nothing; an interrupted import goes on where it stopped. Of several files those that can be read are "
        "imported. Exit code 0 when everything was read, 1 when something was not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
        parser.add_argument("--timeframe", choices=Timeframe.values, default=Timeframe.DAY, help="default: 1d")
        parser.add_argument(
            "--source",
            help="`alpaca` without files: from there; with files: stored with each bar (default: file's name)",
        )
        parser.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="only these")
        parser.add_argument("--from", dest="first", type=_day, metavar="DATE", help="first session, like 2020-01-01")
        parser.add_argument("--to", dest="last", type=_day, metavar="DATE", help="last session (default: all there is)")
        parser.add_argument(
            "--derive-actions",
            action="store_true",
            help="derive splits and dividends from a column adj_close, daily bars of files only",
        )
        alpaca = parser.add_argument_group("from Alpaca", "with ALPACA_API_KEY_ID, ALPACA_API_SECRET_KEY")
        alpaca.add_argument(
            "--feed", choices=FEEDS, default="sip", help="sip: all exchanges (default); where refused, iex, and said so"
        )
        alpaca.add_argument("--again", action="store_true", help="ask for what is already there as well")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = options["first"], options["last"]
        if first is not None and last is not None and last < first:
            raise CommandError(f"--to {last} is not allowed: a date from --from {first} on is")
        if options["files"]:
            self._files(options)
            return
        try:
            if options["source"] != ALPACA:
                raise CommandError("nothing to import: name files, or --source alpaca with --symbols and --from")
            self._alpaca(options)
        except MarketDataError as error:
            raise CommandError(str(error)) from error

    # files

    def _files(self, options: dict[str, Any]) -> None:
        if options["again"]:
            raise CommandError("--again is for --source alpaca only: a file is read whole each time")
        answers: list[dict[str, Any]] = []
        failures: list[str] = []
        for path in options["files"]:
            try:
                report = self._import(path, options)
            except MarketDataError as error:
                failures.append(str(error))
                answers.append({"file": str(path), "error": str(error)})
                continue
            answers.append({"file": str(path), **import_answer(report)})
            if not options["json"]:
                self.stdout.write(import_line(str(path), report))
        if options["json"]:
            write_json(self.stdout, answers)
        if failures:
            many = f"{len(failures)} of {len(answers)} files were not imported:\n" if len(answers) > 1 else ""
            raise CommandError(many + "\n".join(failures))

    def _import(self, path: Path, options: dict[str, Any]) -> ImportReport:
        provider = FileProvider(path, options["timeframe"])
        frame = provider.bars(options["symbols"], options["first"], options["last"])
        if frame.is_empty():
            raise FileFormatError(f"{path}: no bar in it{' is of those symbols and dates' if _chosen(options) else ''}")
        source = options["source"] or provider.name
        if options["derive_actions"]:
            if "adj_close" not in frame.columns or options["timeframe"] != Timeframe.DAY:
                raise FileFormatError(f"{path}: --derive-actions needs daily bars with a column adj_close")
            store_actions(actions=derive_actions(frame).actions, source=source[:32])
        with progress_bar(self.stderr, path.name, hidden=options["json"]) as advance:
            return import_frame(
                frame=frame,
                source=source[:64],
                timeframe=options["timeframe"],
                wall_now=wall_now(),
                on_progress=advance,
            )

    # Alpaca

    def _alpaca(self, options: dict[str, Any]) -> None:
        if not options["symbols"] or options["first"] is None:
            raise CommandError("--source alpaca needs --symbols and --from")
        if options["derive_actions"]:
            raise CommandError("--derive-actions is for files: Alpaca tells splits and dividends itself")
        with progress_bar(self.stderr, ALPACA, hidden=options["json"]) as advance:
            done = import_from_alpaca(
                symbols=options["symbols"],
                first=options["first"],
                last=options["last"],
                wall_now=wall_now(),
                timeframe=options["timeframe"],
                feed=options["feed"],
                again=options["again"],
                on_progress=advance,
            )
        self._say(done, as_json=options["json"])

    def _say(self, done: AlpacaReport, *, as_json: bool) -> None:
        report = done.history
        if as_json:
            write_json(
                self.stdout,
                {
                    "source": done.source,
                    **import_answer(report.bars),
                    "new_actions": report.new_actions,
                    "pieces": report.pieces,
                    "pieces_already_there": report.skipped,
                    "notices": done.notices,
                },
            )
            return
        for notice in done.notices:
            self.stderr.write(f"notice: {notice}")
        skipped = f"; {report.skipped} of {report.pieces} pieces were there before" if report.skipped else ""
        self.stdout.write(import_line(done.source, report.bars) + skipped)
        if report.new_actions:
            self.stdout.write(f"{report.new_actions} corporate actions new")


def _chosen(options: dict[str, Any]) -> bool:
    return any(options[name] is not None for name in ("symbols", "first", "last"))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not allowed: a date like 2020-01-01 is") from None
