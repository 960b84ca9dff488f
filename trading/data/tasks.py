"""Imports and precomputed features as jobs."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings

from marketdata.calendar import is_session
from marketdata.clock import wall_now
from marketdata.management.reporting import import_answer
from marketdata.models import Instrument
from marketdata.providers.alpaca.configuration import FEEDS
from marketdata.providers.files import SUFFIXES, FileProvider
from marketdata.services.alpaca_import import import_from_alpaca
from marketdata.services.bars import ImportReport, import_frame
from marketdata.services.sample import import_sample
from marketdata.types import Timeframe
from signals.feature_store import precompute
from signals.parameters import BadParameter, Parameters, ordered
from signals.progress import Progress

SOURCES = ("sample", "alpaca", "file")
MOST_GAPS = 200
"""Gaps told with a job's result; all of them are on the import's row."""


def import_folder() -> Path:
    """Return the only directory that a job reads files from."""
    return Path(settings.VAR_DIR) / "imports"


def check_import(given: dict[str, Any]) -> dict[str, Any]:
    """Read what to import from where: `{"source": "alpaca", "symbols": [...], "start": "2020-01-01", …}`."""
    read = Parameters(given)
    source = read.text("source", choices=SOURCES)
    symbols = read.symbols("symbols", None)
    start, end = read.day("start", None), read.day("end", None)
    timeframe = read.text("timeframe", Timeframe.DAY.value, choices=Timeframe.values)
    feed = read.text("feed", "sip", choices=FEEDS)
    again = read.flag("again", False)
    name = read.text("file", None)
    read.finish()
    if start is not None and end is not None:
        ordered(start, end)
    if source == "alpaca" and (symbols is None or start is None):
        raise BadParameter("symbols, start", None, "both, when the source is alpaca")
    if source == "sample" and timeframe != Timeframe.DAY:
        raise BadParameter("timeframe", timeframe, "1d: the sample has daily bars")
    if (source == "file") != (name is not None):
        raise BadParameter("file", name, f"the name of a file in {import_folder()}, when the source is file")
    if name is not None:
        _known_file(name)
    return {
        "source": source,
        "symbols": None if symbols is None else list(symbols),
        "start": None if start is None else start.isoformat(),
        "end": None if end is None else end.isoformat(),
        "timeframe": timeframe,
        "feed": feed,
        "again": again,
        "file": name,
    }


def run_import(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Import; begun again it goes on where it stopped, and nothing is there twice."""
    work: Callable[[dict[str, Any], Progress], dict[str, Any]] = _IMPORTS[parameters["source"]]
    return work(parameters, progress)


def _sample(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    report = import_sample(
        wall_now=wall_now(), symbols=parameters["symbols"], on_progress=_rows(progress, "bars of the sample")
    )
    return {**_answer(report.bars), "new_actions": report.new_actions}


def _alpaca(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    done = import_from_alpaca(
        symbols=parameters["symbols"],
        first=date.fromisoformat(parameters["start"]),
        last=_day(parameters["end"]),
        wall_now=wall_now(),
        timeframe=parameters["timeframe"],
        feed=parameters["feed"],
        again=parameters["again"],
        on_progress=_rows(progress, "pieces from Alpaca"),
    )
    history = done.history
    told = {"pieces": history.pieces, "pieces_already_there": history.skipped, "notices": done.notices}
    return {**_answer(history.bars), "new_actions": history.new_actions, **told}


def _file(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    provider = FileProvider(_known_file(parameters["file"]), parameters["timeframe"])
    progress(0, 0, f"reading {parameters['file']}")
    frame = provider.bars(parameters["symbols"], _day(parameters["start"]), _day(parameters["end"]))
    report = import_frame(
        frame=frame,
        source=provider.name[:64],
        timeframe=parameters["timeframe"],
        wall_now=wall_now(),
        on_progress=_rows(progress, f"bars of {parameters['file']}"),
    )
    return _answer(report)


_IMPORTS = {"sample": _sample, "alpaca": _alpaca, "file": _file}


def check_precompute(given: dict[str, Any]) -> dict[str, Any]:
    """Read which features to put into the cache: a session, and symbols (all tradable ones without)."""
    read = Parameters(given)
    session = read.day("session")
    symbols = read.symbols("symbols", None)
    read.finish()
    if not is_session(session):
        raise BadParameter("session", session.isoformat(), "a session of the NYSE")
    return {"session": session.isoformat(), "symbols": None if symbols is None else list(symbols)}


def run_precompute(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compute the features of a session that are not in the cache."""
    symbols = parameters["symbols"] or tradable_symbols()
    done = precompute(symbols=symbols, session=date.fromisoformat(parameters["session"]), on_progress=progress)
    return {
        "session": parameters["session"],
        "rows": done.rows,
        "missing": list(done.missing),
        "there_before": done.there_before,
        "stored": done.stored,
        "reason": done.reason,
    }


def tradable_symbols() -> list[str]:
    """Return the symbols that strategies choose from."""
    return list(Instrument.objects.filter(tradable=True).order_by("symbol").values_list("symbol", flat=True))


def _known_file(name: str) -> Path:
    """Return a file of the import directory; a name that leads out of it is none."""
    folder = import_folder()
    plain = Path(name).name == name and not name.startswith(".") and name.lower().endswith(SUFFIXES)
    path = folder / name
    if not plain or path.is_symlink() or not path.is_file():
        raise BadParameter("file", name, f"the name of a {', '.join(SUFFIXES)} file in {folder}")
    return path


def _rows(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(done, total, what)


def _answer(report: ImportReport) -> dict[str, Any]:
    told = import_answer(report)
    return {**told, "gaps": told["gaps"][:MOST_GAPS], "gap_count": len(report.gaps)}


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
