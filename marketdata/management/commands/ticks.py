from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata.clock import wall_now
from marketdata.management.reporting import write_json, write_table
from marketdata.services.ticks import keep_ticks, tick_days

MOST_DAYS = 3_650


class Command(BaseCommand):
    help = (
        "Show the recorded quotes and trades by day, or delete old days and make one file of each day that is over "
        "(--clean; the worker does it every six hours). Exit code 0 done, 1 on an error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clean", action="store_true", help="delete and put together now")
        parser.add_argument("--days", type=int, metavar="N", help="with --clean: days to keep (TICK_RETENTION_DAYS)")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        if days is not None and not options["clean"]:
            raise CommandError("--days is for --clean only")
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days {days} is not allowed: 1 to {MOST_DAYS} is")
        if options["clean"]:
            kept = keep_ticks(wall_now=wall_now(), days=days)
            if options["json"]:
                write_json(self.stdout, {"deleted": kept.deleted, "put_together": kept.merged})
            else:
                self.stdout.write(f"{kept.deleted} files deleted, {kept.merged} put together")
            return
        found = tick_days()
        columns = ("day", "feed", "kind", "rows", "files", "bytes")
        rows = [(each.day, each.feed, each.kind, each.rows, each.files, each.bytes) for each in found]
        if options["json"]:
            write_json(self.stdout, [dict(zip(columns, row, strict=True)) for row in rows])
        elif rows:
            write_table(self.stdout, "recorded ticks", columns, rows)
        else:
            self.stdout.write("no ticks are stored: a broker's live stream is recorded, a replay is not")
