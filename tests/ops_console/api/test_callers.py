"""Who may do what: every operation of the document, for every scope, for sessions and for nobody."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from execution.models import Account
from ops_console.api.views.reference import document
from ops_console.scopes import Scope, scope_of_roles, weaker
from tests.ops_console.api.bodies import ORDERS, order
from tests.ops_console.api.conftest import Client, make_user

pytestmark = pytest.mark.django_db
NEEDED = {
    "orders_place": Scope.TRADE,
    "orders_preview": Scope.TRADE,
    "orders_replace": Scope.TRADE,
    "orders_cancel": Scope.TRADE,
    "orders_cancel_all": Scope.TRADE,
    "positions_close": Scope.TRADE,
    "kill_switch_engage": Scope.TRADE,
    "circuit_breaker_trip": Scope.TRADE,
    "runs_start": Scope.TRADE,
    "signals_generate": Scope.TRADE,
    "subscriptions_create": Scope.TRADE,
    "subscriptions_delete": Scope.TRADE,
    "kill_switch_disengage": Scope.RISK,
    "circuit_breaker_reset": Scope.RISK,
    "limits_put": Scope.RISK,
    "fat_finger_put": Scope.RISK,
    "alerts_acknowledge": Scope.TRADE,
    "jobs_cancel": Scope.TRADE,
    "features_precompute": Scope.TRADE,
    "backtests_create": Scope.TRADE,
    "backtests_cancel": Scope.TRADE,
    "jobs_retry": Scope.TRADE,
    "models_train": Scope.TRADE,
    "models_reload": Scope.RISK,
    "models_rollback": Scope.RISK,
    "models_activate": Scope.RISK,
    "models_reject": Scope.RISK,
    "models_shadow": Scope.RISK,
    "models_retire": Scope.RISK,
    "slices_place": Scope.TRADE,
    "slices_preview": Scope.TRADE,
    "slices_cancel": Scope.TRADE,
    "slices_pause": Scope.TRADE,
    "slices_resume": Scope.TRADE,
    "positions_flatten_all": Scope.TRADE,
    "kill_switch_accept": Scope.RISK,
    "overrides_request": Scope.RISK,
    "override_approve": Scope.RISK,
    "override_reject": Scope.RISK,
    "override_revoke": Scope.RISK,
    "reconciliation_run": Scope.TRADE,
    "reconciliation_break_decide": Scope.RISK,
    "reconciliation_force_complete": Scope.RISK,
}
SIGNED = {"webhooks_orders"}
"""Whose key is a signature: `test_webhooks`."""


def operations() -> list[tuple[str, str, str]]:
    """Return (id, method, address) of every operation, placeholders filled in."""
    found = []
    for address, methods in document()["paths"].items():
        filled = re.sub(r"{(?!client_order)\w+_id}", "1", address).replace("{decision}", "accept")
        filled = re.sub(r"{\w+}", "AAPL", filled)
        found += [(spec["operationId"], method, filled) for method, spec in methods.items()]
    return [operation for operation in found if operation[0] not in SIGNED]


def test_every_write_says_which_scope_it_needs() -> None:
    writes = {name for name, method, _ in operations() if method != "get"}
    assert writes == set(NEEDED)


@pytest.mark.parametrize("scope", list(Scope))
def test_each_scope_reaches_what_it_may_and_nothing_else(account: Account, client_of: Client, scope: Scope) -> None:
    client = client_of(scope)
    for name, method, address in operations():
        allowed = scope.covers(NEEDED.get(name, Scope.READ))
        # A field that nobody knows, so that a caller who may write changes nothing either.
        answer = getattr(client, method)(address, {"no_such_field": 1} if method != "get" else None, format="json")
        assert (answer.status_code == 403) != allowed, (name, answer.content)
        assert answer.status_code < 500, (name, answer.content)
        if allowed and method != "get":
            assert answer.status_code == 400, (name, answer.content)


def test_nobody_reaches_nothing(account: Account) -> None:
    for name, method, address in operations():
        assert getattr(APIClient(), method)(address).status_code == 401, name


def test_a_user_without_a_role_reaches_nothing(account: Account, client_of: Client) -> None:
    client = client_of(Scope.ADMIN, name="nobody", role=Scope.READ)
    User.objects.get(username="nobody").groups.clear()
    for name, method, address in operations():
        assert getattr(client, method)(address).status_code == 403, name


def test_a_session_reads_with_its_roles(account: Account) -> None:
    client = APIClient()
    client.force_login(make_user("ann", Scope.READ))
    assert client.get(ORDERS).status_code == 200
    assert client.post(ORDERS, order(), format="json").status_code == 403


def test_a_write_in_a_session_needs_the_csrf_token(account: Account) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(make_user("ann", Scope.TRADE))
    refused = client.post(ORDERS, order(), format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_FAILED")
    client.cookies["csrftoken"] = "a" * 32
    assert client.post(ORDERS, order(), format="json", HTTP_X_CSRFTOKEN="a" * 32).status_code == 201


def test_a_token_needs_no_csrf_token(account: Account, client_of: Client) -> None:
    client = client_of(Scope.TRADE)
    client.handler.enforce_csrf_checks = True
    assert client.post(ORDERS, order(), format="json").status_code == 201


def test_scopes_are_nested() -> None:
    strength = list(Scope)
    for held in strength:
        for needed in strength:
            assert held.covers(needed) == (strength.index(held) >= strength.index(needed))


@pytest.mark.parametrize(
    ("roles", "superuser", "expected"),
    [
        ([], False, None),
        (["unknown"], False, None),
        (["viewer", "trader"], False, Scope.TRADE),
        (["risk_officer", "viewer"], False, Scope.RISK),
        (["admin"], False, Scope.ADMIN),
        ([], True, Scope.ADMIN),
    ],
)
def test_the_strongest_role_counts(roles: list[str], superuser: bool, expected: Scope | None) -> None:
    assert scope_of_roles(roles, is_superuser=superuser) == expected


def test_the_weaker_of_token_and_roles_counts() -> None:
    assert weaker(Scope.ADMIN, Scope.READ) == Scope.READ
    assert weaker(Scope.READ, Scope.ADMIN) == Scope.READ
    assert weaker(None, Scope.ADMIN) is None
    assert weaker(Scope.ADMIN, None) is None


def test_a_forged_forwarded_address_does_not_escape_the_count(account: Account, settings: Any) -> None:
    settings.API_RATES = {"address": 2}
    settings.TRUSTED_PROXY_IPS = ()
    codes = [APIClient().get(ORDERS, HTTP_X_FORWARDED_FOR=f"10.0.0.{n}").status_code for n in range(4)]
    assert codes == [401, 401, 429, 429]


def test_behind_a_trusted_proxy_each_client_is_counted_apart(account: Account, settings: Any) -> None:
    settings.API_RATES = {"address": 1}
    settings.TRUSTED_PROXY_IPS = ("127.0.0.0/8",)
    codes = [APIClient().get(ORDERS, HTTP_X_FORWARDED_FOR=f"6.6.6.6, 10.0.0.{n}").status_code for n in (1, 2, 1)]
    assert codes == [401, 401, 429]
