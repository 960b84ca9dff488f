"""Issue an API token: the key alone on stdout, once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from execution.models import Strategy
from marketdata.clock import wall_now
from ops_console.management.operator_command import DONE, REFUSED, UNKNOWN, OperatorCommand
from ops_console.scopes import Scope, scope_of_roles
from ops_console.services.tokens import DEFAULT_LIFETIME, InvalidTokenRequest, create_token


class Command(OperatorCommand):
    """Issue a token to a user."""

    help = (
        "Issue an API token. Only its digest is kept, so the key is shown here once and never again: it is the only\n"
        "thing on stdout, everything else goes to stderr. A token does no more than its scope, and no more than its\n"
        "owner's role."
    )
    examples = (
        ("alice --scope read", "for a report"),
        ("robot --scope trade --days 30 --name nightly > key.txt", "for a program that trades"),
        ("robot --scope trade --strategy momentum", "for a program that speaks Alpaca and trades for momentum"),
    )
    exit_codes = {DONE: "done", REFUSED: "refused, the line says why", UNKNOWN: "the database does not answer"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("username", metavar="USER")
        parser.add_argument("--scope", choices=Scope.values, required=True, help="the most it may do")
        parser.add_argument("--days", type=int, default=DEFAULT_LIFETIME.days, help="how long it lives (default: 90)")
        parser.add_argument("--name", help="what uses it (default: command line)")
        parser.add_argument(
            "--strategy",
            metavar="S",
            help="where orders go that cannot name one, as those of the Alpaca-compatible API (default: manual)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue it and print the key."""
        user = User.objects.filter(username=options["username"]).first()
        if user is None or not user.is_active:
            raise CommandError(f"USER: there is no active user {options['username']!r}")
        scope = Scope(options["scope"])
        try:
            issued = create_token(
                user=user,
                name=options["name"] or "command line",
                scope=scope,
                now=wall_now(),
                lifetime=timedelta(days=options["days"]),
                strategy=self._strategy(options["strategy"]),
            )
        except (InvalidTokenRequest, OverflowError) as error:
            raise CommandError(str(error)) from error
        self._warn_when_limited(user, scope)
        self.stderr.write(f"token {issued.token.token_id} of {user.username}, {scope}, until {issued.token.expires_at}")
        self.say(issued.key)

    def _strategy(self, name: str | None) -> Strategy | None:
        if name is None:
            return None
        found = Strategy.objects.filter(name=name).first()
        if found is None:
            names = ", ".join(Strategy.objects.order_by("name").values_list("name", flat=True))
            raise CommandError(f"--strategy: there is no strategy {name!r}; allowed: {names or 'none exists yet'}")
        return found

    def _warn_when_limited(self, user: User, scope: Scope) -> None:
        held = scope_of_roles(user.groups.values_list("name", flat=True), is_superuser=user.is_superuser)
        if held is None or not held.covers(scope):
            self.stderr.write(
                f"note: {user.username}'s role allows {held or 'nothing'}, and the token no more than that"
            )
