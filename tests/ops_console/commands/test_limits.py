"""Limits from the command line."""

from decimal import Decimal

import pytest

from risk.limits import LIMITS
from risk.models import LimitChange
from risk.selectors import limit_book
from tests.factories import make_instrument, make_strategy
from tests.ops_console.commands.terminal import make_user, run

pytestmark = pytest.mark.django_db
WHY = ("--operator", "alice", "--reason", "less room over the holidays")


@pytest.fixture(autouse=True)
def _people():
    make_user("alice", "risk_officer")
    make_user("trader", "trader")
    make_strategy("momentum")
    make_instrument("AAPL")


def in_force(strategy="", symbol=""):
    return limit_book().resolve(strategy=strategy, symbol=symbol).strategy.max_gross_notional


def test_list_shows_every_limit_and_every_override():
    run("limits", "set", "max_gross_notional", "400000", "--strategy", "momentum", *WHY)
    text = run("limits", "list").out
    assert all(name in text for name in LIMITS)
    assert "override max_gross_notional (momentum, all symbols) = 400000" in text
    document = run("limits", "list", "--strategy", "momentum", "--symbol", "aapl", "--json").document
    [row] = [row for row in document["limits"] if row["name"] == "max_gross_notional"]
    assert (Decimal(row["account"]), Decimal(row["strategy"])) == (500_000, 400_000)


def test_set_and_back_to_the_default():
    outcome = run("limits", "set", "max_gross_notional", "400000", *WHY)
    assert "default 500000 -> 400000" in outcome.out
    assert in_force() == 400_000
    document = run("limits", "set", "max_gross_notional", "default", "--json", *WHY).document
    assert (Decimal(document["old"]), document["new"]) == (400_000, None)
    assert in_force() == 500_000
    assert set(LimitChange.objects.values_list("operator", flat=True)) == {"alice"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("max_fun", "1"), "name: got 'max_fun'"),
        (("max_names", "many"), "value: got 'many'"),
        (("max_names", "NaN"), "max_names: got NaN"),
        (("max_names", "-1"), "max_names: got -1"),
        (("max_names",), "Error: the following arguments are required: VALUE"),
        (("max_names", "1", "--strategy", "nope"), "--strategy: there is no strategy"),
        (("--symbol", "NOPE", "max_names", "1"), "--symbol: there is no instrument"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, complaint):
    outcome = run("limits", "set", *WHY, *arguments)
    assert outcome.code == 1
    assert outcome.err.startswith(complaint)
    assert not LimitChange.objects.exists()


def test_a_trader_may_not():
    outcome = run("limits", "set", "max_names", "30", "--operator", "trader", "--reason", "more room for me please")
    assert (outcome.code, LimitChange.objects.exists()) == (1, False)
