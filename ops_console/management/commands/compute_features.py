"""Compute Alpha158 of stored bars into a file, wherever there are workers."""

import argparse
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from django.core.management.base import CommandError, CommandParser

from marketdata.models import Instrument
from marketdata.selectors import bars as bars_of
from ops_console.management.bar import progress_bar
from ops_console.management.operator_command import DONE, REFUSED, OperatorCommand
from signals.engine import EngineError, engine_for
from signals.engine.choice import add_engine_options, chosen
from signals.engine.features import features_on
from signals.features import FEATURES, LOOKBACK, UnusableBars, feature_version
from signals.parameters import BadParameter, ordered

REFUSED_OPTION = 2
DAYS_A_SESSION = 2
"""Calendar days that hold at least one session, for the look back before the first day."""


class Command(OperatorCommand):
    """Bars of a range to a Parquet file: symbol, date and the 158 features, one row a bar."""

    help = (
        "Compute the 158 features of stored daily bars, adjusted for splits and dividends as known at the last day,\n"
        "by groups of symbols, and write them as Parquet. The numbers do not depend on where they are computed."
    )
    examples = (
        ("--from 2010-01-04 --to 2013-02-28 --output features.parquet", "every symbol with bars, in this process"),
        ("--from 2010-01-04 --output f.parquet --engine processes", "one process a core"),
        ("--from 2010-01-04 --output f.parquet --engine dask --scheduler tcp://10.0.0.5:8786", "on a Dask cluster"),
    )
    exit_codes = {
        DONE: "written",
        REFUSED: "bars, file or engine cannot be used, the line says why; nothing was written",
        REFUSED_OPTION: "an option is not allowed, the line says which",
    }

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--from", dest="start", type=_day, required=True, metavar="DATE", help="first day")
        parser.add_argument("--to", dest="end", type=_day, metavar="DATE", help="last day (default: the newest bar)")
        parser.add_argument("--symbols", nargs="+", type=str.upper, metavar="SYMBOL", help="default: all instruments")
        parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="Parquet file; replaced whole")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
        add_engine_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Compute and write."""
        path = _writable(options["output"])
        bars = _bars(options)
        began = time.perf_counter()
        try:
            with engine_for(chosen(options)) as engine, progress_bar(hidden=options["json"]) as progress:
                found = features_on(engine, bars, progress=progress)
                where = {"engine": engine.name, "workers": engine.workers}
        except (EngineError, UnusableBars) as error:
            raise CommandError(f"{error}; nothing was written", returncode=REFUSED) from error
        seconds = time.perf_counter() - began
        rows = found.filter(pl.col("date") >= options["start"])
        draft = path.with_name(f".{path.name}.part")
        rows.write_parquet(draft)
        draft.replace(path)
        told = {"rows": rows.height, "symbols": rows["symbol"].n_unique(), "features": len(FEATURES), **where}
        told |= {"feature_version": feature_version(), "seconds": round(seconds, 3), "output": str(path)}
        if options["json"]:
            self.say_json(told)
        else:
            self.say(f"{rows.height:,} rows of {told['symbols']} symbols in {seconds:.1f} s, written to {path}")


def _bars(options: dict[str, Any]) -> pl.DataFrame:
    """Return the bars, with those before the first day that its features look back on.

    :raises CommandError: there are none
    """
    symbols = options["symbols"] or list(Instrument.objects.order_by("symbol").values_list("symbol", flat=True))
    start, end = options["start"], options["end"]
    try:
        if end is not None:
            ordered(start, end, field="to")
    except BadParameter as error:
        raise CommandError(f"--{error}", returncode=REFUSED_OPTION) from error
    first = start - timedelta(days=LOOKBACK * DAYS_A_SESSION)
    bars = bars_of(symbols, start=first, end=end, adjustment="total_return", as_of=end) if symbols else pl.DataFrame()
    if bars.is_empty() or bars.filter(pl.col("date") >= start).is_empty():
        raise CommandError(
            f"no bar of {len(symbols)} symbols from {start}: `import_sample` or `import_bars` brings some in",
            returncode=REFUSED,
        )
    return bars.sort("symbol", "date")


def _writable(path: Path) -> Path:
    """Return where to write.

    :raises CommandError: no file can be there
    """
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise CommandError(f"--output: got {str(path)!r}, allowed: a file in a folder that exists", returncode=2)
    return path


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a date like 2020-01-31 is") from None
