"""List, show, activate and roll back models."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from rich.table import Table

from marketdata.clock import wall_now
from ops_console.management.commands.train_model import number, told
from ops_console.management.operator_command import (
    DONE,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    asked_reason,
    known_operator,
    operating_system_user,
)
from ops_console.scopes import Scope
from signals import registry
from signals.models import ModelApproval, ModelVersion
from signals.states import ApprovalState, ModelStatus
from signals.strategies.registry import get_strategy


class Command(OperatorCommand):
    """The registry at the terminal."""

    help = (
        "The registry of models. One version of a strategy is active; every process uses it within seconds of its\n"
        "activation. Where MODEL_APPROVALS is 2 (staging, production, live), `activate` asks, and another person's\n"
        "`approve` carries it out; with --second-operator both are named at once. A roll-back takes one person."
    )
    examples = (
        ("list", "every version, newest first"),
        ("list --strategy alpha_baseline --status active --json", "what trades, for a script"),
        ("show 12", "what it was made from, how good it is, who did what to it"),
        ('activate 12 --operator alice --reason "rank IC 0.031 against 0.024 on the test split"', "let it trade"),
        ("approve 3 --operator bob", "the second person's word on request 3"),
        ('rollback alpha_baseline --operator alice --reason "live IC below zero for two weeks"', "the one before"),
        ('shadow 12 --operator alice --reason "two weeks beside the active one"', "score without trading"),
    )
    exit_codes = {
        DONE: "done, or asked for",
        REFUSED: "refused, the line says why; nothing has changed",
        UNKNOWN: "the database does not answer",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="versions")
        listing.add_argument("--strategy", help="of this strategy only")
        listing.add_argument("--status", choices=ModelStatus.values, help="with this status only")
        show = actions.add_parser("show", help="one version")
        show.add_argument("id", type=int)
        for name, what in (
            ("activate", "let a version trade in place of the active one"),
            ("shadow", "let a version score without trading"),
            ("retire", "take a version out of use"),
        ):
            action = actions.add_parser(name, help=what)
            action.add_argument("id", type=int)
            self._people(action)
        actions.choices["activate"].add_argument("--second-operator", default="", help="who agrees, where two must")
        back = actions.add_parser("rollback", help="the version that was active before")
        back.add_argument("strategy")
        self._people(back)
        for name, what in (("approve", "carry out what another person asked for"), ("reject", "turn a request down")):
            decide = actions.add_parser(name, help=what)
            decide.add_argument("request", type=int, metavar="REQUEST")
            decide.add_argument("--operator", help="who does it (default: the user of the operating system)")
        for action in actions.choices.values():
            action.add_argument("--json", action="store_true", help="one JSON document instead of text")

    def _people(self, parser: ArgumentParser) -> None:
        parser.add_argument("--operator", help="who does it (default: the user of the operating system)")
        parser.add_argument("--reason", help="10 to 500 characters; asked for at a terminal")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do one of them."""
        action = options["action"]
        if action == "list":
            self._list(options)
        elif action == "show":
            self._show(options)
        elif action in {"approve", "reject"}:
            self._decide(options)
        else:
            self._move(options)

    def _move(self, options: dict[str, Any]) -> None:
        who = _operator(options)
        if options["action"] == "rollback":
            get_strategy(options["strategy"])
        word: dict[str, Any] = {"actor": who, "reason": asked_reason(options["reason"]), "now": wall_now()}
        if options["action"] == "rollback":
            self._moved(registry.rollback(options["strategy"], **word), options)
        elif options["action"] == "activate":
            self._activate(options, word)
        else:
            step = registry.shadow if options["action"] == "shadow" else registry.retire
            self._moved(step(options["id"], **word), options)

    def _activate(self, options: dict[str, Any], word: dict[str, Any]) -> None:
        second = options["second_operator"]
        if second:
            second = known_operator(second, needs=Scope.RISK, option="--second-operator")
        if registry.needs_two_people() and not second:
            self._asked(registry.request_activation(options["id"], **word), options)
            return
        self._moved(registry.activate(options["id"], second=second, **word), options)

    def _decide(self, options: dict[str, Any]) -> None:
        who, now = _operator(options), wall_now()
        if options["action"] == "approve":
            self._moved(registry.approve_activation(options["request"], actor=who, now=now), options)
            return
        approval = registry.reject_activation(options["request"], actor=who, now=now)
        if options["json"]:
            self.say_json({"request": approval.pk, "state": approval.state})
        else:
            self.say(f"request {approval.pk} is turned down; nothing has changed")

    def _asked(self, approval: ModelApproval, options: dict[str, Any]) -> None:
        if options["json"]:
            self.say_json({"request": approval.pk, "state": approval.state, "expires_at": approval.expires_at})
            return
        self.say(
            f"request {approval.pk}: another person has to approve it before {approval.expires_at:%Y-%m-%d %H:%M} UTC"
        )
        self.say(f"  manage.py models approve {approval.pk} --operator …")

    def _moved(self, version: ModelVersion, options: dict[str, Any]) -> None:
        if options["json"]:
            self.say_json(told(version))
        else:
            used = "; every process uses it within seconds" if version.status == ModelStatus.ACTIVE else ""
            self.say(f"{version} is {version.status}{used}")

    def _list(self, options: dict[str, Any]) -> None:
        versions = registry.model_versions(strategy=options["strategy"], status=options["status"])
        if options["json"]:
            self.say_json([told(version) for version in versions])
            return
        table = Table("id", "strategy", "no.", "status", "data", "test rank IC", "ICIR", "Sharpe", "made")
        for version in versions:
            test = version.metrics.get("test", {})
            table.add_row(
                str(version.pk),
                version.strategy,
                str(version.number),
                version.status,
                f"{version.first_date} – {version.last_date}",
                number(test.get("rank_ic", {}).get("mean"), 4),
                number(test.get("rank_ic", {}).get("icir"), 3),
                number(test.get("top_minus_bottom", {}).get("sharpe"), 2),
                f"{version.created_at:%Y-%m-%d %H:%M} {version.created_by}",
            )
        if not table.row_count:
            self.say("no models: train one with `manage.py train_model --from DATE --to DATE`")
            return
        self.console().print(table)
        for approval in ModelApproval.objects.filter(state=ApprovalState.PENDING, expires_at__gt=wall_now()):
            self.say(
                f"request {approval.pk} by {approval.requested_by}: activate {approval.version_id}, {approval.reason}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        version = registry.model_version(options["id"])
        events = list(version.events.order_by("id"))
        if options["json"]:
            rows = [
                {
                    name: getattr(event, name)
                    for name in ("act", "to_status", "operator", "second_operator", "reason", "at")
                }
                for event in events
            ]
            self.say_json(told(version) | {"importance": version.importance, "events": rows})
            return
        self._describe(version)
        for event in events:
            second = f" and {event.second_operator}" if event.second_operator else ""
            self.say(
                f"  {event.at:%Y-%m-%d %H:%M} {event.get_act_display()} by {event.operator}{second}: {event.reason}"
            )

    def _describe(self, version: ModelVersion) -> None:
        self.say(
            f"{version} ({version.status}), id {version.pk}, {version.size_bytes:,} bytes, SHA-256 {version.sha256}"
        )
        self.say(
            f"  {len(version.symbols)} symbols, {version.first_date} to {version.last_date}, seed {version.seed}, "
            f"{version.rounds} trees, features {version.feature_version}, code {version.code_version}"
        )
        for name, row in version.metrics.items():
            self.say(
                f"  {name:5}  rank IC {number(row['rank_ic']['mean'], 4)} ({row['rank_ic']['days']} days), "
                f"Sharpe of top minus bottom {number(row['top_minus_bottom']['sharpe'], 2)}"
            )


def _operator(options: dict[str, Any]) -> str:
    name = options["operator"] or operating_system_user()
    if not name:
        raise CommandError("--operator: missing")
    return known_operator(name, needs=Scope.RISK)
