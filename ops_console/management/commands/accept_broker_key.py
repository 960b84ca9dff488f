"""Accept a renewed key of the account that was met first at the broker."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from execution.brokers.base import BrokerError
from execution.brokers.registry import broker_for
from execution.models import Account
from execution.services.broker_identity import SHOWN, accept_key
from ops_console.management.operator_command import (
    DONE,
    REFUSED,
    UNKNOWN,
    OperatorCommand,
    asked_reason,
    known_operator,
)
from ops_console.scopes import Scope
from risk.services.reasons import require_reason


class Command(OperatorCommand):
    """Ask the broker with the key in use; when it answers for the pinned account, pin that key."""

    help = (
        "The first answer of a broker is pinned: account and key. After a key was renewed at the broker nothing is\n"
        "sent until somebody with the right to change limits accepts the new one here. The broker is asked with the\n"
        "key of the environment; a key of another account is never accepted. The dispatcher then starts again."
    )
    examples = (
        ('--operator alice --reason "key renewed on the broker\'s page"', "the desk's account"),
        ('--account alpaca_paper --operator alice --reason "key renewed"', "another account"),
    )
    exit_codes = {
        DONE: "the key is accepted",
        REFUSED: "refused, the line says why",
        UNKNOWN: "unknown: the database does not answer",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--account", help="name of the account (default: the desk's)")
        parser.add_argument("--operator", required=True, help="who accepts it")
        parser.add_argument("--reason", help="10 to 500 characters; asked for at a terminal")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask and accept.

        :raises CommandError: no such account or operator, another account's key, or nobody answers
        """
        name = options["account"] or settings.TRADING_MODE
        account = Account.objects.filter(name=name).first()
        if account is None:
            raise CommandError(f"--account: there is no account {name!r}")
        operator = known_operator(options["operator"], needs=Scope.RISK)
        reason = require_reason(asked_reason(options["reason"]))
        try:
            key = accept_key(account=account, broker=broker_for(account), operator=operator, reason=reason)
        except BrokerError as error:
            raise CommandError(str(error)) from error
        self.say(f"{account.name}: the key with SHA-256 {key[:SHOWN]}… is accepted")
