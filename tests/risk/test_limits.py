"""How overrides combine with defaults."""

import itertools
from dataclasses import fields

import pytest

from risk.limits import LIMITS, LimitBook, LimitRow
from risk.types import LimitValues
from tests.risk.cases import D

NAME = "max_position_quantity"
GLOBAL, SYMBOL, STRATEGY, BOTH = ("", ""), ("", "AAPL"), ("momentum", ""), ("momentum", "AAPL")
VALUES = {GLOBAL: D(1), SYMBOL: D(2), STRATEGY: D(3), BOTH: D(4)}
RANKS = [BOTH, STRATEGY, SYMBOL, GLOBAL]


def resolved(keys, *, strategy="momentum", symbol="AAPL", defaults=None):
    rows = [LimitRow(NAME, key[0], key[1], VALUES[key]) for key in keys]
    return LimitBook(rows=rows, defaults=defaults or {}, version=7).resolve(strategy=strategy, symbol=symbol)


SUBSETS = [keys for size in range(5) for keys in itertools.combinations(VALUES, size)]


@pytest.mark.parametrize("keys", SUBSETS)
def test_the_most_specific_row_wins_for_the_strategy(keys):
    expected = next((VALUES[key] for key in RANKS if key in keys), D(1_000))
    assert resolved(keys).strategy.max_position_quantity == expected


@pytest.mark.parametrize("keys", SUBSETS)
def test_no_strategys_own_row_moves_the_accounts_limit(keys):
    expected = next((VALUES[key] for key in (SYMBOL, GLOBAL) if key in keys), D(1_000))
    assert resolved(keys).account.max_position_quantity == expected


@pytest.mark.parametrize(
    ("strategy", "symbol", "expected"),
    [("mean_reversion", "AAPL", 2), ("momentum", "MSFT", 3), ("mean_reversion", "MSFT", 1)],
)
def test_rows_of_others_do_not_count(strategy, symbol, expected):
    assert resolved(VALUES, strategy=strategy, symbol=symbol).strategy.max_position_quantity == expected


def test_zero_is_a_value_and_not_a_missing_one():
    book = LimitBook(rows=[LimitRow(NAME, "", "", D(0))], defaults={}, version=1)
    assert book.resolve(strategy="s", symbol="A").strategy.max_position_quantity == 0


def test_defaults_of_the_environment_come_before_those_of_the_code():
    assert resolved([], defaults={NAME: D(77)}).account.max_position_quantity == 77


def test_other_limits_keep_their_defaults():
    limits = resolved(VALUES)
    for name, item in LIMITS.items():
        if name != NAME:
            assert getattr(limits.strategy, name) == item.default


def test_a_resolution_is_remembered_and_carries_its_version():
    book = LimitBook(rows=[], defaults={}, version=7)
    first = book.resolve(strategy="momentum", symbol="AAPL")
    assert first is book.resolve(strategy="momentum", symbol="AAPL")
    assert first.version == 7


def test_definitions_and_values_name_the_same_limits():
    assert {item.name for item in fields(LimitValues)} == set(LIMITS)


@pytest.mark.parametrize("item", LIMITS.values(), ids=LIMITS)
def test_every_default_is_one_an_operator_could_set(item):
    assert item.minimum <= item.default <= item.maximum
    assert item.label
    assert item.unit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_order_adv_pct", 5),
        ("max_position_notional", 100_000),
        ("max_gross_notional", 500_000),
        ("max_names", 20),
        ("daily_loss_pct", 2),
        ("weekly_loss_pct", 5),
        ("min_order_interval_seconds", 30),
        ("auction_quiet_minutes", 5),
    ],
)
def test_the_promised_defaults(name, value):
    assert LIMITS[name].default == value
