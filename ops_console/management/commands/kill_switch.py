"""Stop trading, let it go on, or tell whether it is stopped; needs only the database."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from execution.services.halt import engage_kill_switch
from execution.services.wishes import fulfil_wishes, keep_wish, kept_wishes
from execution.types import HaltReport
from marketdata.clock import wall_now
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
from risk.models import GLOBAL_SCOPE, KillSwitchEvent
from risk.selectors import KillSwitchStatus, is_engaged, kill_switch_status
from risk.services import kill_switch
from risk.services.reasons import require_reason

SOURCE = KillSwitchEvent.Source.COMMAND
LOCK_PATIENCE = "2s"


class Command(OperatorCommand):
    """Engage, release or show the kill switch."""

    help = (
        "Stop all trading at once (engage), let it go on (disengage), or tell whether it is stopped (status).\n"
        "Engaging stores one row, which waits for no lock, and then cancels what is open. Anybody with this shell may\n"
        "engage under any name; releasing takes two different users who both may let trading go on."
    )
    examples = (
        ('engage --reason "feed looks wrong"', "stop everything now"),
        ('engage --strategy momentum --reason "model gone astray"', "stop one strategy"),
        (
            'disengage --operator alice --second-operator bob --reason "feed repaired, checked"',
            "let trading go on; without --second-operator the release is asked for, and another operator approves it "
            "in the console",
        ),
        ("status --json", "for scripts; the exit code tells as well"),
    )
    exit_codes = {
        DONE: "status: off; engage, disengage: done",
        REFUSED: "refused or incomplete, the line says why",
        HALTED: "status: engaged; disengage: still engaged, waiting for another operator",
        UNKNOWN: "unknown: the database does not answer",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("action", choices=("status", "engage", "disengage"))
        scope = parser.add_mutually_exclusive_group()
        scope.add_argument("--strategy", help="only this strategy (default: everything)")
        scope.add_argument("--account", help="only this account (default: everything)")
        parser.add_argument("--operator", help="who does it (default: the user of the operating system)")
        parser.add_argument("--second-operator", help="who else answers for a release")
        parser.add_argument("--reason", help="10 to 500 characters; asked for at a terminal")
        parser.add_argument("--totp", metavar="CODE", help="one-time code instead of a second operator; not set up yet")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked in the scope that was named."""
        scope = GLOBAL_SCOPE
        for kind in ("strategy", "account"):
            if options[kind]:
                scope = f"{kind}:{options[kind]}"
        action = {"status": self._status, "engage": self._engage, "disengage": self._disengage}[options["action"]]
        self.leave(action(scope, options))

    def _status(self, scope: str, options: dict[str, Any]) -> int:
        try:
            found = kill_switch_status()
        except DATABASE_AWAY as error:
            return self._unknown(error, as_json=options["json"])
        stopped = [status for status in found if status.engaged and status.scope in {GLOBAL_SCOPE, scope}]
        if options["json"]:
            self.say_json({"scope": scope, "engaged": bool(stopped), "switches": [_as_dict(row) for row in found]})
        else:
            for status in found:
                self.say(_described(status))
        return HALTED if stopped else DONE

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
                scope=scope, operator=operator, reason=reason, source=SOURCE, wall_now=wall_now()
            )
            fulfil_wishes(settings.VAR_DIR, wall_now=wall_now())
        except DATABASE_AWAY as error:
            return self._not_done(error, scope=scope, operator=operator, reason=reason, as_json=options["json"])
        self._report_halt(scope, operator, report, as_json=options["json"])
        return DONE

    def _report_halt(self, scope: str, operator: str, report: HaltReport, *, as_json: bool) -> None:
        if as_json:
            self.say_json(
                {
                    "scope": scope,
                    "engaged": True,
                    "operator": operator,
                    "event_id": report.event_id,
                    "already_engaged": report.already_engaged,
                    "canceled_unsent": report.canceled_unsent,
                    "cancel_requested": report.cancel_requested,
                }
            )
            return
        before = " (it was engaged before)" if report.already_engaged else ""
        self.say(f"ENGAGED {scope} by {operator}{before}: no order passes from now on.")
        self.say(f"  canceled before they were sent: {report.canceled_unsent}")
        self.say(f"  to be canceled at the broker by the dispatcher: {report.cancel_requested}")
        if report.cancel_requested:
            self.say("  what is still open: manage.py status")

    def _not_done(self, error: Exception, *, scope: str, operator: str, reason: str, as_json: bool) -> int:
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
            settings.VAR_DIR, scope=scope, operator=operator, reason=reason, source=SOURCE, wall_now=wall_now()
        )
        if as_json:
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
        reason = asked_reason(options["reason"])
        if not second:
            return self._ask_release(scope, operator, reason, as_json=options["json"])
        known_operator(second, needs=Scope.RISK, option="--second-operator")
        event = kill_switch.disengage(
            scope=scope, operator=operator, second_operator=second, reason=reason, source=SOURCE, now=wall_now()
        )
        if options["json"]:
            self.say_json({"scope": scope, "engaged": False, "event_id": event.pk, "operators": [operator, second]})
        else:
            self.say(f"RELEASED {scope} by {operator} and {second}: orders pass the gate again.")
        return DONE

    def _ask_release(self, scope: str, operator: str, reason: str, *, as_json: bool) -> int:
        request = kill_switch.request_release(scope=scope, operator=operator, reason=reason, now=wall_now())
        if as_json:
            self.say_json({"scope": scope, "engaged": True, "request_id": request.pk, "expires_at": request.expires_at})
        else:
            self.say(
                f"STILL ENGAGED {scope}: release {request.pk}, asked by {request.requested_by}, waits for another "
                f"operator's approval in the console until {request.expires_at:%H:%M:%S} UTC."
            )
        return HALTED

    def _refuse_while_a_wish_waits(self) -> None:
        if kept_wishes(settings.VAR_DIR):
            raise RiskError(
                "an engage that could not reach the database waits on disk: run `kill_switch engage` first, so that it "
                "is carried out, then release"
            )


def _do_not_wait_for_others() -> None:
    # The switch itself waits for nobody; the cancels after it would wait for whoever holds an order's row.
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_PATIENCE}'")


def _as_dict(status: KillSwitchStatus) -> dict[str, Any]:
    return {name: getattr(status, name) for name in status.__dataclass_fields__}


def _described(status: KillSwitchStatus) -> str:
    state = "ENGAGED" if status.engaged else "off"
    if status.at is None:
        return f"{status.scope}: {state} ({status.reason})"
    people = " and ".join(name for name in (status.operator, status.second_operator) if name)
    return f"{status.scope}: {state} since {status.at:%Y-%m-%d %H:%M:%S} UTC by {people}: {status.reason}"
