from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.clock import wall_now
from marketdata.errors import MarketDataError
from marketdata.management.reporting import write_json, write_table
from marketdata.models import QuarantinedBar
from marketdata.services.quarantine import reject_bar, release_bar
from marketdata.types import QuarantineStatus


class Command(BaseCommand):
    help = (
        "List the bars the quality gate kept out, let one into the lake (release), or keep it out for good (reject). "
        "Exit code 0 done, 1 on an error, which a bar decided before is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="show bars that were kept out")
        listing.add_argument("--status", choices=[*QuarantineStatus.values, "all"], default="quarantined")
        listing.add_argument("--symbol")
        listing.add_argument("--json", action="store_true", help="print one JSON document")
        for name, summary in (("release", "let bars into the lake"), ("reject", "keep bars out for good")):
            deciding = actions.add_parser(name, help=summary)
            deciding.add_argument("ids", nargs="+", type=int, metavar="ID", help="as `list` shows them")
            deciding.add_argument("--operator", required=True, help="who decides")
            deciding.add_argument("--reason", required=True, help="10 to 500 characters")
            deciding.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._list(options)
        else:
            self._decide(release_bar if options["action"] == "release" else reject_bar, options)

    def _list(self, options: dict[str, Any]) -> None:
        bars = QuarantinedBar.objects.select_related("instrument")
        if options["status"] != "all":
            bars = bars.filter(status=options["status"])
        if options["symbol"]:
            bars = bars.filter(instrument__symbol=options["symbol"])
        answers = [_answer(bar) for bar in bars]
        if options["json"]:
            write_json(self.stdout, answers)
            return
        columns = ("id", "symbol", "timeframe", "date", "rule", "detail", "status")
        rows = [[answer[column] for column in columns] for answer in answers]
        write_table(self.stdout, f"{len(rows)} bars kept out", columns, rows)

    def _decide(self, decide: Callable[..., QuarantinedBar], options: dict[str, Any]) -> None:
        answers = []
        for number in options["ids"]:
            try:
                bar = decide(
                    bar=QuarantinedBar.objects.get(pk=number),
                    operator=options["operator"],
                    reason=options["reason"],
                    wall_now=wall_now(),
                )
            except QuarantinedBar.DoesNotExist:
                raise CommandError(f"there is no quarantined bar {number}") from None
            except MarketDataError as error:
                raise CommandError(str(error)) from error
            answers.append(_answer(bar))
            if not options["json"]:
                self.stdout.write(f"{number}: {bar.instrument.symbol} {bar.date} {bar.status}")
        if options["json"]:
            write_json(self.stdout, answers)


def _answer(bar: QuarantinedBar) -> dict[str, Any]:
    return {
        "id": bar.pk,
        "symbol": bar.instrument.symbol,
        "timeframe": bar.timeframe,
        "date": bar.date.isoformat(),
        "rule": bar.rule,
        "detail": bar.detail,
        "status": bar.status,
        "payload": bar.payload,
        "source": bar.source,
        "decided_by": bar.decided_by,
        "decided_at": None if bar.decided_at is None else bar.decided_at.isoformat(),
        "reason": bar.reason,
    }
