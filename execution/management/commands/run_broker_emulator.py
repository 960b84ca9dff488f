"""Serve a broker that is Alpaca to its client: for drills and for a whole paper desk without a key."""

import asyncio
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from socket import socket
from textwrap import fill
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import DatabaseError

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import MAX_SPEED, VenueClock
from execution.emulator.fault_file import read_plan
from execution.emulator.faults import FaultError, FaultKind, FaultPlan
from execution.emulator.keys import DEFAULT_KEY_ID, DEFAULT_SECRET, Keys
from execution.emulator.lake_market import LakeMarket
from execution.emulator.log import EventLog
from execution.emulator.market import Market
from execution.emulator.server import LOOPBACK, Addresses, EmulatorServer, bound_socket
from execution.emulator.surface import Surface
from execution.emulator.venue import VenueSettings
from execution.emulator.venue.settings import DEFAULT_ACCOUNT_NUMBER, DEFAULT_CASH
from marketdata.calendar import session_close, session_open, sessions_between
from marketdata.clock import AFTER_CLOSE, BEFORE_OPEN, wall_now
from marketdata.errors import MarketDataError
from marketdata.services.feeds import SAMPLE_REPLAY

DEFAULT_PORT = 8700
RATE_LIMIT = 200
DEFAULT_SPEED = Decimal(1)
MOST_CASH = Decimal(10**12)
LAST_PORT = 65_535
LONGEST_WHOLE = 12


class HelpFormatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Keep the lines of the description and of the examples as they are written."""


class Command(BaseCommand):
    """Replay past sessions at an emulated broker, until Ctrl-C or SIGTERM."""

    requires_system_checks = ()
    help = (
        "Serve a broker that is Alpaca to its client, on this machine: REST, /stream and the stock data stream, over\n"
        "a replay of past sessions. Orders fill against the same market data that it tells, deterministically.\n"
        "Faults from a file, or from POST /emulator/faults, make it lie, hang and forget; GET /emulator/log says what\n"
        "truly happened. Point Portcullis at it with the lines that are printed on start."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Put examples, exit codes and the kinds of faults under the options."""
        return super().create_parser(
            prog_name, subcommand, formatter_class=HelpFormatter, epilog=_epilog(subcommand), **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        where = parser.add_argument_group("where")
        where.add_argument("--host", default=LOOPBACK, help=f"address to listen on (default: {LOOPBACK})")
        where.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"0 takes a free one ({DEFAULT_PORT})")
        market = parser.add_argument_group("market")
        market.add_argument(
            "--source",
            choices=("sample", "lake"),
            default="sample",
            help="built-in sample without a database, or the imported bars (default: sample)",
        )
        market.add_argument(
            "--from", dest="first", type=_day, metavar="DATE", help=f"first date (default: {SAMPLE_REPLAY[0]})"
        )
        market.add_argument(
            "--to", dest="last", type=_day, metavar="DATE", help=f"last date (default: {SAMPLE_REPLAY[1]})"
        )
        market.add_argument(
            "--speed",
            type=_number(f"above 0 and at most {MAX_SPEED}", most=MAX_SPEED),
            default=DEFAULT_SPEED,
            help="market seconds in a second; closed hours are skipped (default: 1)",
        )
        market.add_argument("--seed", type=_whole, default=7, help="same seed and same requests, same ids and fills")
        account = parser.add_argument_group("account")
        account.add_argument(
            "--cash",
            type=_number(f"above 0 and at most {MOST_CASH}", most=MOST_CASH),
            default=DEFAULT_CASH,
            help=f"account currency (default: {DEFAULT_CASH})",
        )
        account.add_argument("--account-number", default=DEFAULT_ACCOUNT_NUMBER, metavar="NUMBER")
        account.add_argument("--key-id", default=DEFAULT_KEY_ID, metavar="KEY")
        account.add_argument("--secret", default=DEFAULT_SECRET)
        account.add_argument(
            "--rate-limit", type=_whole, default=RATE_LIMIT, help=f"requests in a minute, 0 for none ({RATE_LIMIT})"
        )
        account.add_argument(
            "--iex-only", action="store_true", help="keys of the free subscription: no recent SIP data"
        )
        files = parser.add_argument_group("files")
        files.add_argument("--faults", type=Path, metavar="FILE.json", help="a list of faults, or one fault on a line")
        files.add_argument("--log", type=Path, metavar="FILE.jsonl", help="append what truly happens to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare everything that can fail, then listen, say where, and serve."""
        first, last = _sessions(options["first"], options["last"])
        faults = _read_faults(options["faults"], options["seed"])
        try:
            market = _market(options["source"], options["seed"], first.date(), last.date())
        except (MarketDataError, DatabaseError) as error:
            raise CommandError(f"--source {options['source']}: {str(error).strip().splitlines()[0]}") from error
        with _listener(options["host"], options["port"]) as listener, _log(options["log"]) as log:
            clock = VenueClock.replay(start=first, end=last, speed=options["speed"], wall=wall_now)
            surface = _surface(options, market=market, clock=clock, faults=faults, log=log)
            self._announce(options, Addresses(options["host"], listener.getsockname()[1]), surface)
            asyncio.run(EmulatorServer(surface).serve(sockets=[listener]))
        self.stdout.write(f"ended; {len(log)} things happened")

    def _announce(self, options: dict[str, Any], addresses: Addresses, surface: Surface) -> None:
        """Say where the emulator is and what to export for Portcullis."""
        state = surface.clock.state
        settings = {
            "TRADING_MODE": "alpaca_paper",
            "ALPACA_API_KEY_ID": options["key_id"],
            "ALPACA_API_SECRET_KEY": options["secret"],
            "ALPACA_BASE_URL": addresses.url,
            "ALPACA_STREAM_URL": addresses.stream_url,
            "ALPACA_DATA_URL": addresses.url,
            "ALPACA_DATA_STREAM_URL": addresses.data_stream_url,
        }
        lines = [
            "Broker emulator",
            f"account         {options['account_number']}, {options['cash']:,} in cash",
            f"replay          {state.start_at:%Y-%m-%d} to {state.end_at:%Y-%m-%d} ×{state.speed}, {options['source']}",
            f"REST and data   {addresses.url}",
            f"trade updates   {addresses.stream_url}",
            f"stock stream    {addresses.data_stream_url}",
            f"control         {addresses.url}/emulator/state",
            f"faults waiting  {len(surface.faults.waiting())}",
            "",
            *(f"export {name}={value}" for name, value in settings.items()),
            "",
            "Ctrl-C ends it.",
        ]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _epilog(subcommand: str) -> str:
    kinds = ", ".join(sorted(FaultKind))
    return f"""examples:
  manage.py {subcommand}
      the built-in sample from {SAMPLE_REPLAY[0]}, in the pace of the wall's clock
  manage.py {subcommand} --from 2012-06-14 --to 2012-06-29 --speed 390
      two weeks, a session a minute
  manage.py {subcommand} --faults drill.json --log drill.jsonl
      with what goes wrong from a file, and what truly happened in another

a fault:
  {{"kind": "accept_then_timeout", "match": {{"method": "POST", "path": "/v2/orders"}}, "after": 2, "times": 1,
   "probability": 1, "parameters": {{"seconds": 30}}}}
  match: method, path (* for ids), client_order_id (a beginning), symbol, event

kinds of faults:
{fill(kinds, 112, initial_indent="  ", subsequent_indent="  ")}

exit codes:
  0  ended by Ctrl-C or SIGTERM
  1  could not start, the line says why
"""


def _listener(host: str, port: int) -> socket:
    try:
        return bound_socket(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"--port: cannot listen on {host}:{port}: {reason}; --port 0 takes a free one") from None


def _log(path: Path | None) -> EventLog:
    try:
        return EventLog(path)
    except OSError as error:
        raise CommandError(f"--log: {path} cannot be written: {error.strerror}") from None


def _surface(
    options: dict[str, Any], *, market: Market, clock: VenueClock, faults: FaultPlan, log: EventLog
) -> Surface:
    settings = VenueSettings(
        account_number=options["account_number"], starting_cash=options["cash"], seed=options["seed"]
    )
    return Surface(
        settings=settings,
        market=market,
        clock=clock,
        faults=faults,
        log=log,
        wall=wall_now,
        keys=Keys(options["key_id"], options["secret"]),
        rate_limit=options["rate_limit"],
        iex_only=options["iex_only"],
    )


def _market(source: str, seed: int, first: date, last: date) -> Market:
    """Return the market that fills orders.

    :raises CommandError: it has no bars from first to last
    :raises MarketDataError: its bars cannot be read
    """
    market = SampleMarket(seed=seed) if source == "sample" else LakeMarket(seed=seed)
    if not any(market.bars(symbol, first, last) for symbol in market.listings):
        advice = "choose other dates" if source == "sample" else "choose other dates, or import bars (import_sample)"
        raise CommandError(f"--source {source}: there are no bars from {first} to {last}; {advice}")
    return market


def _sessions(first: date | None, last: date | None) -> tuple[datetime, datetime]:
    """Return from which instant to which the sessions of two dates are played."""
    start = SAMPLE_REPLAY[0] if first is None else first
    end = max(SAMPLE_REPLAY[1], start) if last is None else last
    sessions = sessions_between(start, end)
    if not sessions:
        raise CommandError(f"--from, --to: no session of the exchange from {start} to {end}")
    return session_open(sessions[0]) - BEFORE_OPEN, session_close(sessions[-1]) + AFTER_CLOSE


def _read_faults(path: Path | None, seed: int) -> FaultPlan:
    if path is None:
        return FaultPlan(seed=seed)
    try:
        return read_plan(path, seed=seed)
    except FaultError as error:
        raise CommandError(f"--faults: {error}") from None


def _number(allowed: str, *, most: Decimal) -> Callable[[str], Decimal]:
    def read(text: str) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal(0)
        if not value.is_finite() or not 0 < value <= most:
            raise ArgumentTypeError(f"{text!r} is not allowed; {allowed} is")
        return value

    return read


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_WHOLE:
        raise ArgumentTypeError(f"{text!r} is not allowed; a whole number from 0 up is")
    return int(text)


def _port(text: str) -> int:
    port = _whole(text)
    if port > LAST_PORT:
        raise ArgumentTypeError(f"{text!r} is not allowed; 0 to {LAST_PORT} is")
    return port


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not allowed; a date such as 2012-06-14 is") from None
