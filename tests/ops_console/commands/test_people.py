"""Users with roles, and keys for programs."""

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from marketdata.clock import wall_now
from ops_console.models import ApiToken
from ops_console.services.tokens import authenticate_key
from tests.ops_console.commands.terminal import make_user, run

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_officer", "admin"])
def test_a_new_user_gets_role_and_a_password_shown_once(role):
    outcome = run("create_user_with_role", "alice", role)
    user = User.objects.get(username="alice")
    assert outcome.code == 0
    assert user.check_password(outcome.out.strip())
    assert list(user.groups.values_list("name", flat=True)) == [role]
    assert user.is_staff
    assert outcome.out.strip() not in outcome.err


def test_an_existing_user_changes_role_and_keeps_the_password():
    password = run("create_user_with_role", "alice", "viewer").out.strip()
    outcome = run("create_user_with_role", "alice", "trader")
    user = User.objects.get(username="alice")
    assert (outcome.out, user.check_password(password)) == ("", True)
    assert list(user.groups.values_list("name", flat=True)) == ["trader"]


def test_a_password_of_ones_own_is_read_from_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery staple\n"))
    outcome = run("create_user_with_role", "bob", "trader", "--password-stdin")
    assert outcome.out == ""
    assert User.objects.get(username="bob").check_password("correct horse battery staple")


@pytest.mark.parametrize("password", ["\n", "short\n", "password1234\n"])
def test_a_weak_password_is_refused_in_one_line(monkeypatch, password):
    monkeypatch.setattr("sys.stdin", io.StringIO(password))
    outcome = run("create_user_with_role", "bob", "trader", "--password-stdin")
    assert (outcome.code, outcome.err.count("\n"), User.objects.exists()) == (1, 0, False)


def test_a_strange_name_and_an_unknown_role_are_refused():
    assert run("create_user_with_role", "a b", "trader").code == 1
    assert "invalid choice" in run("create_user_with_role", "alice", "king").err


def test_the_key_alone_is_on_stdout_and_opens_the_api():
    make_user("alice", "trader")
    outcome = run("create_api_token", "alice", "--scope", "trade", "--days", "3", "--name", "nightly")
    key = outcome.out.strip()
    holder = authenticate_key(key=key, now=wall_now())
    assert (outcome.out.count("\n"), holder.username, holder.scope) == (1, "alice", "trade")
    assert key.split("_")[2] not in outcome.err
    token = ApiToken.objects.get()
    assert (token.name, token.expires_at - token.created_at) == ("nightly", timedelta(days=3))


def test_a_token_beyond_its_owners_role_says_so():
    make_user("alice", "viewer")
    outcome = run("create_api_token", "alice", "--scope", "admin")
    assert (outcome.code, "role allows read" in outcome.err) == (0, True)


@pytest.mark.parametrize("arguments", [("nobody", "--scope", "read"), ("alice", "--scope", "read", "--days", "0")])
def test_a_token_that_cannot_be_is_refused(arguments):
    make_user("alice", "viewer")
    assert (run("create_api_token", *arguments).code, ApiToken.objects.exists()) == (1, False)
