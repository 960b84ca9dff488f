"""Stop trading, let it go on, or tell whether it is stopped; needs only the database."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from execution.brokers.base import BrokerError
from execution.halting.release import approve_release, require_over
from execution.halting.residue import accept, left
from execution.models import HaltProcedure
from execution.models.halting import RUNNING
from execution.selectors import desk_account
from execution.services.halt import engage_kill_switch
from execution.services.wishes import fulfil_wishes, keep_wish, kept_wishes
from execution.types import HaltReport
from marketdata.clock import wall_now
from ops_console.management.halt_watch import GOOD_ENDS, as_dict, described, progress, watch
from ops_console.management.kill_switch_lines import (
    PASSES,
    halt_dict,
    halt_lines,
    preview_lines,
    request_dict,
    request_lines,
    status_dict,
    status_line,
)
from ops_console.management.kill_switch_options import add_options
from ops_console.management.operator_command import (
    DATABASE_AWAY,
    DONE,
    HALTED,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    asked_reason,
    known_operator,
    one_line,
    operating_system_user,
)
from ops_console.scopes import Scope
from risk.errors import RiskError
from risk.models import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest
from risk.selectors import is_engaged, kill_switch_status, level_of
from risk.services import kill_switch
from risk.services.kill_switch import release_word, require_word
from risk.services.reasons import require_reason
from risk.states import SwitchLevel
from trading.management.halt_here import carry_out
from trading.services.halt_preview import dispatcher_note, preview, silent_seconds

RESIDUE = 5
SOURCE = KillSwitchEvent.Source.COMMAND
LOCK_PATIENCE = "2s"


class Command(OperatorCommand):
    """Engage, release or show the kill switch."""

    help = (
        "Stop all trading at once (engage), let it go on (disengage, approve), count before it is done (preview), or\n"
        "tell whether it is stopped (status). Engaging stores one row, which waits for no lock, and then cancels\n"
        "what is open. Levels: reducing (only orders that reduce pass), halted (nothing passes), flattening (halted,\n"
        "and positions are closed). Anybody with this shell may engage under any name; releasing takes two different\n"
        "users who both may let trading go on, a typed word, and a wait between asking and approving."
    )
    examples = (
        ('engage --reason "feed looks wrong"', "stop everything now"),
        ('engage --strategy momentum --reason "model gone astray"', "stop one strategy"),
        ('engage --flatten --wait --reason "strategies gone astray"', "stop, close everything, wait for the proof"),
        ('engage --direct --wait --reason "dispatcher is dead"', "cancel at the broker from this very command"),
        ("preview --flatten --symbol AAPL", "count first: orders, positions, slices, runs"),
        (
            'disengage --operator alice --reason "feed repaired, checked" --word "RELEASE GLOBAL"',
            "ask for the release; with --second-operator it is approved in the same call, once the wait is over",
        ),
        ("approve --request 7 --operator bob", "the second person's word"),
        (
            'accept --halt 3 --name manual/AAPL --operator bob --reason "delisted, by hand"',
            "take what a halt has left as it is",
        ),
        ("status --json", "for scripts; the exit code tells as well"),
    )
    exit_codes = {
        DONE: "status: off; engage, disengage: done",
        REFUSED: "refused or incomplete, the line says why",
        HALTED: "status: engaged; disengage: still engaged, waiting for another operator",
        UNKNOWN: "unknown: the database does not answer",
        RESIDUE: "engage --wait, cancel or close: something is left, or was not proved in time",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked in the scope that was named."""
        scope = GLOBAL_SCOPE
        for kind in ("strategy", "account", "symbol"):
            if options[kind]:
                scope = f"{kind}:{options[kind].upper() if kind == 'symbol' else options[kind]}"
        actions = {
            "status": self._status,
            "preview": self._preview,
            "engage": self._engage,
            "disengage": self._disengage,
            "approve": self._approve,
            "accept": self._accept,
        }
        self.leave(actions[options["action"]](scope, options))

    def _status(self, scope: str, options: dict[str, Any]) -> int:
        try:
            found = kill_switch_status()
        except DATABASE_AWAY as error:
            return self._unknown(error, as_json=options["json"])
        stopped = [status for status in found if status.engaged and status.scope in {GLOBAL_SCOPE, scope}]
        halts = list(HaltProcedure.objects.filter(state__in=RUNNING).select_related("account").order_by("pk"))
        waits = dispatcher_note(silent_seconds(wall_now())) if halts else ""
        if options["json"]:
            switches = [status_dict(row) for row in found]
            document = {"scope": scope, "engaged": bool(stopped), "switches": switches}
            self.say_json({**document, "halts": [as_dict(halt) for halt in halts], "warning": waits})
        else:
            for status in found:
                self.say(status_line(status))
            for halt in halts:
                self.say(progress(halt))
                for row in left(halt):
                    self.say(f"  {described(row)}")
            if waits:
                self.say(waits)
        return HALTED if stopped else DONE

    def _preview(self, scope: str, options: dict[str, Any]) -> int:
        account = desk_account(str(settings.TRADING_MODE))
        found = preview(
            scope=scope, level=options["level"], account=account, wall_now=wall_now(), at_open=options["at_open"]
        )
        if options["json"]:
            names = [name for name in found.__dataclass_fields__ if name != "orders"]
            self.say_json({name: getattr(found, name) for name in names})
        else:
            for line in preview_lines(found):
                self.say(line)
        return DONE

    def _unknown(self, error: Exception, *, as_json: bool) -> int:
        if as_json:
            self.say_json({"engaged": None, "state": "unknown", "error": one_line(error)})
        else:
            self.stderr.write(f"kill switch: UNKNOWN, the database does not answer: {one_line(error)}")
        return UNKNOWN

    def _engage(self, scope: str, options: dict[str, Any]) -> int:
        operator = options["operator"] or operating_system_user()
        reason = require_reason(asked_reason(options["reason"]))
        try:
            _do_not_wait_for_others()
            report = engage_kill_switch(
                scope=scope,
                operator=operator,
                reason=reason,
                source=SOURCE,
                wall_now=wall_now(),
                level=options["level"],
                everything=options["everything"],
                at_open=options["at_open"],
            )
            fulfil_wishes(settings.VAR_DIR, wall_now=wall_now())
        except DATABASE_AWAY as error:
            return self._not_done(error, scope=scope, operator=operator, reason=reason, options=options)
        watching = options["wait"] is not None or options["direct"]
        if not (watching and options["json"]):
            if options["json"]:
                self.say_json(halt_dict(scope, operator, report))
            else:
                for line in halt_lines(scope, operator, report):
                    self.say(line)
        if not watching:
            return self._warn_of_silence(as_json=options["json"])
        return self._watch(report, options)

    def _warn_of_silence(self, *, as_json: bool) -> int:
        note = dispatcher_note(silent_seconds(wall_now()))
        if note and not as_json:
            self.say(f"  {note}")
        return DONE

    def _watch(self, report: HaltReport, options: dict[str, Any]) -> int:
        """Follow the halt until it is over or the time is, and say what is left."""
        account = desk_account(str(settings.TRADING_MODE))
        if report.procedure_id is None or account is None:
            raise CommandError("there is nothing to wait for: the scope is none of this desk's account")
        work = None
        if options["direct"]:
            try:
                work = carry_out(account, now=wall_now)
            except BrokerError as error:
                raise CommandError(f"engaged, but nothing was canceled from here: {error.reason}") from error
        say = (lambda _: None) if options["json"] else self.say
        halt = watch(report.procedure_id, seconds=options["wait"] or 30, say=say, work=work)
        if options["json"]:
            self.say_json(as_dict(halt))
        else:
            for row in left(halt):
                self.say(f"  {described(row)}")
        return DONE if halt.state in GOOD_ENDS else RESIDUE

    def _not_done(self, error: Exception, *, scope: str, operator: str, reason: str, options: dict[str, Any]) -> int:
        """Tell how far an engage came; keep it on disk when it did not reach the database."""
        try:
            engaged = is_engaged(scope)
        except DATABASE_AWAY:
            engaged = False
        if engaged:
            self.stderr.write(
                f"ENGAGED {scope}, but open orders could not all be canceled ({one_line(error)}): run it again"
            )
            return REFUSED
        path = keep_wish(
            settings.VAR_DIR,
            scope=scope,
            operator=operator,
            reason=reason,
            source=SOURCE,
            wall_now=wall_now(),
            level=options["level"],
            everything=options["everything"],
            at_open=options["at_open"],
        )
        if options["json"]:
            self.say_json({"scope": scope, "engaged": None, "wish": str(path), "error": one_line(error)})
        self.stderr.write(
            f"NOT ENGAGED, the database does not answer: {one_line(error)}\n"
            f"The wish is kept in {path} and carried out when the platform next starts or reaches its database;\n"
            "until then the orders at the broker stay open. Run this again, or cancel them at the broker."
        )
        return UNKNOWN

    def _disengage(self, scope: str, options: dict[str, Any]) -> int:
        if options["totp"]:
            raise CommandError("--totp: one-time codes are not set up in this version; name --second-operator")
        self._refuse_while_a_wish_waits()
        operator = known_operator(options["operator"] or operating_system_user(), needs=Scope.RISK)
        second = options["second_operator"]
        if second:
            known_operator(second, needs=Scope.RISK, option="--second-operator")
        reason = asked_reason(options["reason"])
        require_word(scope, _asked_word(scope, options["word"]))
        require_over(scope)
        request = kill_switch.request_release(
            scope=scope, operator=operator, reason=reason, now=wall_now(), to_level=options["to"]
        )
        if not second:
            return self._asked(request, as_json=options["json"])
        return self._approve(scope, {**options, "request": request.pk, "operator": second})

    def _approve(self, scope: str, options: dict[str, Any]) -> int:
        """Give the second person's word to a request."""
        self._refuse_while_a_wish_waits()
        if options["request"] is None:
            raise CommandError("--request: missing; the number that `disengage` has told")
        operator = known_operator(options["operator"] or operating_system_user(), needs=Scope.RISK)
        event = approve_release(request_id=options["request"], operator=operator, source=SOURCE, wall_now=wall_now())
        level = level_of(event.scope)
        people = [event.operator, event.second_operator]
        if options["json"]:
            engaged = level != SwitchLevel.ACTIVE
            document = {"scope": event.scope, "engaged": engaged, "level": level, "event_id": event.pk}
            self.say_json({**document, "operators": people})
        else:
            self.say(f"RELEASED {event.scope} by {' and '.join(people)}: {PASSES[level]} again.")
        return DONE

    def _accept(self, scope: str, options: dict[str, Any]) -> int:
        """Take what a halt has left as it is."""
        if options["halt"] is None or not options["name"]:
            raise CommandError("--halt and --name: both are needed; `kill_switch status` tells them")
        operator = known_operator(options["operator"] or operating_system_user(), needs=Scope.RISK)
        row = accept(
            procedure_id=options["halt"],
            name=options["name"],
            operator=operator,
            reason=asked_reason(options["reason"]),
            wall_now=wall_now(),
        )
        if options["json"]:
            self.say_json({"halt": options["halt"], "name": row.name, "accepted_by": row.accepted_by})
        else:
            self.say(f"ACCEPTED by {row.accepted_by}: {described(row)}")
        return DONE

    def _asked(self, request: ReleaseRequest, *, as_json: bool) -> int:
        if as_json:
            self.say_json(request_dict(request))
        else:
            for line in request_lines(request):
                self.say(line)
        return HALTED

    def _refuse_while_a_wish_waits(self) -> None:
        if kept_wishes(settings.VAR_DIR):
            raise RiskError(
                "an engage that could not reach the database waits on disk: run `kill_switch engage` first, so that it "
                "is carried out, then release"
            )


def _asked_word(scope: str, given: str | None) -> str | None:
    """Return the word given, or ask for it at a terminal."""
    if given is not None or sys.stdin is None or not sys.stdin.isatty():
        return given
    return input(f"Type {release_word(scope)}: ")


def _do_not_wait_for_others() -> None:
    # The switch itself waits for nobody; the cancels after it would wait for whoever holds an order's row.
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_PATIENCE}'")
