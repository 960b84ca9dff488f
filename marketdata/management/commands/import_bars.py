from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.clock import wall_now
from marketdata.derivation import derive_actions
from marketdata.errors import FeedMissingError, MarketDataError
from marketdata.management.reporting import import_answer, import_line, progress_bar, write_json
from marketdata.providers.alpaca.configuration import FEEDS, configured
from marketdata.providers.alpaca.history import AlpacaHistory
from marketdata.providers.alpaca.rest import AlpacaRest
from marketdata.providers.files import FileProvider
from marketdata.selectors import default_feed
from marketdata.services.actions import store_actions
from marketdata.services.bars import ImportReport, import_frame
from marketdata.services.history import HistoryReport, import_history
from marketdata.types import Timeframe

ALPACA = "alpaca"


class Command(BaseCommand):
    help = (
        "Import raw, unadjusted bars from CSV or Parquet files (columns symbol, date or at, open, high, low, close, "
        "volume), or from Alpaca: import_bars --source alpaca --symbols AAPL IBM --from 2020-01-01. Bars that fail the "
        "quality gate go to quarantine. Running it again changes nothing; an interrupted import goes on where it "
        "stopped. Exit code 0 when everything was read, 1 on an error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
        parser.add_argument("--timeframe", choices=Timeframe.values, default=Timeframe.DAY, help="default: 1d")
        parser.add_argument(
            "--source",
            help="`alpaca` without files: from there; with files: stored with each bar (default: file's name)",
        )
        parser.add_argument(
            "--derive-actions",
            action="store_true",
            help="derive splits and dividends from a column adj_close, daily bars of files only",
        )
        alpaca = parser.add_argument_group("from Alpaca", "with ALPACA_API_KEY_ID, ALPACA_API_SECRET_KEY")
        alpaca.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="what to import, with splits and dividends")
        alpaca.add_argument("--from", dest="first", type=_day, metavar="DATE", help="first session, like 2020-01-01")
        alpaca.add_argument("--to", dest="last", type=_day, metavar="DATE", help="last session (default: last closed)")
        alpaca.add_argument(
            "--feed", choices=FEEDS, default="sip", help="sip: all exchanges (default); where refused, iex, and said so"
        )
        alpaca.add_argument("--again", action="store_true", help="ask for what is already there as well")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["files"]:
                self._files(options)
            elif options["source"] == ALPACA:
                self._alpaca(options)
            else:
                raise CommandError("nothing to import: name files, or --source alpaca with --symbols and --from")
        except MarketDataError as error:
            raise CommandError(str(error)) from error

    # files

    def _files(self, options: dict[str, Any]) -> None:
        for name in ("symbols", "first", "last", "again"):
            if options[name]:
                raise CommandError(f"--{ {'first': 'from', 'last': 'to'}.get(name, name) } is for --source alpaca only")
        answers = []
        for path in options["files"]:
            report = self._import(path, options)
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

    # Alpaca

    def _alpaca(self, options: dict[str, Any]) -> None:
        if not options["symbols"] or options["first"] is None:
            raise CommandError("--source alpaca needs --symbols and --from")
        if options["derive_actions"]:
            raise CommandError("--derive-actions is for files: Alpaca tells splits and dividends itself")
        notices: list[str] = []
        now = wall_now()
        try:
            now = default_feed().market_now(now)
        except FeedMissingError:
            self.stderr.write("there is no desk yet: bars are read up to now")
        rest = AlpacaRest(configured())
        provider = AlpacaHistory(
            rest, now=now, feed=options["feed"], timeframe=options["timeframe"], on_notice=notices.append
        )
        try:
            with progress_bar(self.stderr, provider.name, hidden=options["json"]) as advance:
                report = import_history(
                    provider=provider,
                    symbols=options["symbols"],
                    first=options["first"],
                    last=options["last"],
                    now=now,
                    timeframe=options["timeframe"],
                    again=options["again"],
                    on_progress=advance,
                )
        finally:
            rest.close()
        self._say(provider.name, report, notices, as_json=options["json"])

    def _say(self, source: str, report: HistoryReport, notices: list[str], *, as_json: bool) -> None:
        if as_json:
            write_json(
                self.stdout,
                {
                    "source": source,
                    **import_answer(report.bars),
                    "new_actions": report.new_actions,
                    "pieces": report.pieces,
                    "pieces_already_there": report.skipped,
                    "notices": notices,
                },
            )
            return
        for notice in notices:
            self.stderr.write(f"notice: {notice}")
        skipped = f"; {report.skipped} of {report.pieces} pieces were there before" if report.skipped else ""
        self.stdout.write(import_line(source, report.bars) + skipped)
        if report.new_actions:
            self.stdout.write(f"{report.new_actions} corporate actions new")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not allowed: a date like 2020-01-01 is") from None
