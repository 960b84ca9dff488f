import sys
from datetime import date, datetime, timedelta
from typing import Any, get_args

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.calendar import last_closed_session
from marketdata.clock import wall_now
from marketdata.errors import MarketDataError
from marketdata.freshness import FreshnessMode, FreshnessReport, check_freshness
from marketdata.lake import KEY_COLUMN, default_lake
from marketdata.management.reporting import write_json, write_table
from marketdata.selectors import default_feed
from marketdata.types import FeedKind, Timeframe

STALE_EXIT = 3


class Command(BaseCommand):
    help = (
        "Say whether the newest bars are recent enough to decide on, as of the desk's market time. Age is counted in "
        "trading time. Exit code 0 fresh, 3 stale, 1 on an error (a bar later than now is one)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--mode", choices=get_args(FreshnessMode), default="per_symbol")
        parser.add_argument("--max-age-minutes", type=int, help="trading minutes (default: DATA_FRESHNESS_MINUTES)")
        parser.add_argument("--min-fresh-pct", type=float, default=100.0, help="for per_symbol (default: 100)")
        parser.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="only these; one without bars is stale")
        parser.add_argument("--timeframe", choices=Timeframe.values, default=Timeframe.DAY)
        parser.add_argument("--at", help="market time, like 2012-06-14T13:05:00Z (default: the desk's clock)")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            feed = None if options["at"] else default_feed()
            now = feed.market_now(wall_now()) if feed is not None else _instant(options["at"])
            # In history the lake knows more than that moment did; in real time a later bar is an error.
            newest = None if feed is not None and feed.kind == FeedKind.REAL else last_closed_session(now)
            report = self._check(now, newest, options)
        except MarketDataError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            write_json(self.stdout, _answer(report, now))
        else:
            rows = [(symbol, "fresh", "") for symbol in report.fresh_symbols]
            rows += [(symbol, "stale", f"{age // 60} min") for symbol, age in report.stale_symbols.items()]
            rows += [(symbol, "no bars", "") for symbol in report.missing_symbols]
            write_table(self.stdout, report.detail, ("symbol", "state", "age in trading time"), rows)
        if not report.fresh:
            sys.exit(STALE_EXIT)

    def _check(self, now: datetime, newest: date | None, options: dict[str, Any]) -> FreshnessReport:
        minutes = options["max_age_minutes"]
        limit = timedelta(minutes=settings.DATA_FRESHNESS_MINUTES if minutes is None else minutes)
        symbols = options["symbols"]
        bars = default_lake().scan(options["timeframe"], symbols=symbols, end=newest)
        frame = bars.select("symbol", KEY_COLUMN[Timeframe(options["timeframe"])]).collect()
        return check_freshness(
            frame, limit, options["mode"], now=now, min_fresh_pct=options["min_fresh_pct"], expected=symbols
        )


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise CommandError(f"--at {text!r} is not allowed: a time with an offset like 2012-06-14T13:05:00Z is")
    return at


def _answer(report: FreshnessReport, now: datetime) -> dict[str, Any]:
    return {
        "fresh": report.fresh,
        "mode": report.mode,
        "market_time": now.isoformat(),
        "max_age_seconds": report.max_age_seconds,
        "age_seconds": report.age_seconds,
        "fresh_symbols": report.fresh_symbols,
        "stale_symbols": report.stale_symbols,
        "missing_symbols": report.missing_symbols,
    }
