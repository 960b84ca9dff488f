"""The kill switch over HTTP: counted first, up by level, down by two, what is left accepted by name."""

from decimal import Decimal

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from execution.models import Account, HaltProcedure, HaltResidue
from ops_console.scopes import Scope
from risk.selectors import is_engaged, level_of
from tests.factories import WALL_NOW, make_order
from tests.ops_console.api.bodies import REASON
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db
KILL = "/api/v1/kill-switch"
FLATTEN = "/api/v1/positions/flatten-all"


def test_a_preview_counts_and_changes_nothing(account: Account, trader: APIClient) -> None:
    make_order(account)
    body = trader.get(f"{KILL}/preview", {"scope": account.scope, "level": "flattening"}).json()
    assert (body["open_orders"], body["level_now"], body["level_then"]) == (1, "active", "flattening")
    assert Decimal(body["open_value"]) == 1000
    assert any("cancels wait" in note for note in body["notes"])
    assert not is_engaged(account.scope)


@pytest.mark.parametrize("query", [{"scope": "everything"}, {"level": "active"}, {"level": "x"}, {"more": "1"}])
def test_what_cannot_be_previewed_is_400(account: Account, trader: APIClient, query: dict[str, str]) -> None:
    assert trader.get(f"{KILL}/preview", query).status_code == 400


@pytest.mark.parametrize("level", ["reducing", "halted", "flattening"])
@pytest.mark.parametrize("scope", ["global", "strategy:manual", "symbol:AAPL", "account:paper"])
def test_a_scope_goes_to_a_level_at_once(account: Account, trader: APIClient, scope: str, level: str) -> None:
    answer = trader.post(f"{KILL}/engage", {"reason": REASON, "scope": scope, "level": level}, format="json")
    assert (answer.status_code, answer.json()["level"]) == (200, level)
    assert level_of(scope) == level
    halt = trader.get(f"{KILL}/halts/{answer.json()['halt_id']}").json()
    assert (halt["scope"], halt["state"], halt["flatten"]) == (scope, "canceling", level == "flattening")
    [shown] = [row for row in trader.get(f"{KILL}/status").json()["scopes"] if row["scope"] == scope]
    assert shown["level"] == level


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "global", "strategy": "manual"},
        {"scope": "strategy:manul"},
        {"level": "active"},
        {"level": None, "everything": "yes"},
    ],
)
def test_what_is_no_halt_stops_nothing(account: Account, trader: APIClient, fields: dict[str, object]) -> None:
    assert trader.post(f"{KILL}/engage", {"reason": REASON} | fields, format="json").status_code == 400
    assert not HaltProcedure.objects.exists()


@pytest.mark.parametrize("word", [None, "RELEASE", "RELEASE STRATEGY:MANUAL", "x" * 101])
def test_a_release_needs_the_typed_word(account: Account, client_of: Client, word: str | None) -> None:
    ann = client_of(Scope.RISK, name="ann")
    ann.post(f"{KILL}/engage", {"reason": REASON}, format="json")
    answer = ann.post(f"{KILL}/disengage", {"reason": REASON, "word": word}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (400, "word")


def test_an_approval_waits_for_its_minute(account: Account, client_of: Client, settings: Settings) -> None:
    settings.RELEASE_WAIT_SECONDS = 60
    ann, bob = client_of(Scope.RISK, name="ann"), client_of(Scope.RISK, name="bob")
    ann.post(f"{KILL}/engage", {"reason": REASON}, format="json")
    asked = ann.post(f"{KILL}/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json").json()
    assert REASON in asked["releases"][0]
    early = bob.post(f"{KILL}/disengage", {"approval_id": asked["approval_id"]}, format="json")
    assert (early.status_code, early.json()["code"]) == (429, "TOO_SOON")
    assert is_engaged("global")


def test_what_is_left_is_accepted_by_name_and_only_then_released(account: Account, client_of: Client) -> None:
    ann = client_of(Scope.RISK, name="ann")
    halt = ann.post(f"{KILL}/engage", {"reason": REASON, "level": "flattening"}, format="json").json()["halt_id"]
    HaltProcedure.objects.update(state="residue")
    HaltResidue.objects.create(
        procedure_id=halt,
        kind="position",
        name="manual/AAPL",
        symbol="AAPL",
        quantity=7,
        why="refused",
        found_at=WALL_NOW,
        seen_at=WALL_NOW,
    )
    release = {"reason": REASON, "word": "RELEASE GLOBAL"}
    refused = ann.post(f"{KILL}/disengage", release, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "HALT_NOT_OVER")
    accept = f"{KILL}/halts/{halt}/accept"
    assert ann.post(accept, {"name": "manual/MSFT", "reason": REASON}, format="json").status_code == 404
    assert ann.post(accept, {"name": "manual/AAPL", "reason": "short"}, format="json").status_code == 400
    body = ann.post(accept, {"name": "manual/AAPL", "reason": REASON}, format="json").json()
    assert body["residue"][0]["accepted_by"] == "ann"
    assert ann.post(f"{KILL}/disengage", release, format="json").status_code == 202


def test_who_may_trade_may_not_accept_or_release(account: Account, trader: APIClient) -> None:
    for address in (f"{KILL}/disengage", f"{KILL}/halts/1/accept"):
        assert trader.post(address, {"reason": REASON}, format="json").status_code == 403


def test_172_a_second_flatten_all_is_the_first_one_and_no_switch_is_turned(account: Account, trader: APIClient) -> None:
    first = trader.post(FLATTEN, {"reason": REASON}, format="json")
    second = trader.post(FLATTEN, {"reason": REASON}, format="json")
    assert (first.status_code, first.json()["id"]) == (202, second.json()["id"])
    assert (first.json()["level"], first.json()["flatten"], is_engaged(account.scope)) == ("active", True, False)


def test_an_unknown_halt_is_404(account: Account, trader: APIClient) -> None:
    assert trader.get(f"{KILL}/halts/999").status_code == 404
