"""Make a user of the console with one of the four roles."""

import secrets
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from ops_console.management.operator_command import DONE, REFUSED, UNKNOWN, OperatorCommand
from ops_console.scopes import ROLE_SCOPES
from ops_console.services.roles import ensure_roles

PASSWORD_BYTES = 15


class Command(OperatorCommand):
    """Make a user, or give one that exists another role."""

    help = (
        "Make a user with a role: "
        + "; ".join(f"{name} may {scope.label}" for name, scope in ROLE_SCOPES.items())
        + ".\n"
        "A generated password is printed once. A user who exists gets the role in place of the old one and keeps the\n"
        "password unless --password-stdin is given. Everybody may log in to the admin and look."
    )
    examples = (
        ("alice risk_officer", "a generated password on stdout"),
        ("bob trader --password-stdin < password.txt", "a password of your own"),
    )
    exit_codes = {DONE: "done", REFUSED: "refused, the line says why", UNKNOWN: "the database does not answer"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("username", metavar="USERNAME")
        parser.add_argument("role", metavar="ROLE", choices=tuple(ROLE_SCOPES), help=", ".join(ROLE_SCOPES))
        parser.add_argument("--email", default="", help="where messages go")
        parser.add_argument("--password-stdin", action="store_true", help="read the password's first line from stdin")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the user and print a generated password once."""
        username, role = options["username"], options["role"]
        given = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else None
        try:
            UnicodeUsernameValidator()(username)
            if given is not None:
                validate_password(given, User(username=username, email=options["email"]))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        generated = secrets.token_urlsafe(PASSWORD_BYTES)
        created = _store(username, role, options["email"], given, generated)
        self.stderr.write(f"user {username} {'made' if created else 'kept'}, role {role}")
        if created and given is None:
            self.say(generated)


@transaction.atomic
def _store(username: str, role: str, email: str, given: str | None, generated: str) -> bool:
    """Store user, password and role; tell whether the user is new."""
    ensure_roles()
    user, created = User.objects.get_or_create(username=username, defaults={"email": email})
    if given is not None or created:
        user.set_password(generated if given is None else given)
    user.is_staff = user.is_active = True
    user.email = email or user.email
    user.save()
    user.groups.remove(*user.groups.filter(name__in=ROLE_SCOPES))
    user.groups.add(Group.objects.get(name=role))
    return created
