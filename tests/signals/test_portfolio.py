"""Weights stay within every cap, whatever the scores and whatever is held."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.portfolio import WEIGHT_STEP, PortfolioRules, approach, construct, make_room, turnover_between

NAMES = [f"S{number}" for number in range(12)]
SCORES = st.dictionaries(st.sampled_from(NAMES), st.floats(-3, 3) | st.sampled_from([0.0, 1.0]))
CAP = st.decimals("0.000001", 2, places=6)
WEIGHTS = st.dictionaries(st.sampled_from(NAMES), st.decimals(-1, 1, places=6))


@st.composite
def rules(draw: st.DrawFn) -> PortfolioRules:
    top, bottom = draw(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(any))
    gross = draw(CAP)
    return PortfolioRules(
        top=top,
        bottom=bottom,
        gross=gross,
        net=draw(st.decimals(0, 1, places=3)) * gross,
        per_name=min(draw(CAP), Decimal(1)),
    )


def gross(weights: dict[str, Decimal]) -> Decimal:
    return sum((abs(weight) for weight in weights.values()), Decimal(0))


@given(SCORES, rules())
def test_no_cap_is_ever_passed(scores: dict[str, float], asked: PortfolioRules) -> None:
    weights = construct(scores.items(), asked)
    assert gross(weights) <= asked.gross
    assert abs(sum(weights.values())) <= asked.net
    assert all(0 < abs(weight) <= asked.per_name for weight in weights.values())
    assert all(weight == weight.quantize(WEIGHT_STEP) for weight in weights.values())
    assert sum(weight > 0 for weight in weights.values()) <= asked.top
    assert sum(weight < 0 for weight in weights.values()) <= asked.bottom
    longs = [scores[name] for name, weight in weights.items() if weight > 0]
    shorts = [scores[name] for name, weight in weights.items() if weight < 0]
    assert not longs or not shorts or min(longs) >= max(shorts)


@given(SCORES, rules(), st.randoms())
def test_the_order_of_the_rows_says_nothing(scores: dict[str, float], asked: PortfolioRules, chance: object) -> None:
    rows = list(scores.items())
    chance.shuffle(rows)
    assert construct(rows, asked) == construct(scores.items(), asked)


@given(WEIGHTS, WEIGHTS, CAP)
def test_a_move_stays_within_its_turnover_and_between_its_ends(
    target: dict[str, Decimal], present: dict[str, Decimal], turnover: Decimal
) -> None:
    moved = approach(target, present, turnover)
    assert turnover_between(present, moved) <= turnover
    for measure in (gross, lambda weights: abs(sum(weights.values()))):
        assert measure(moved) <= max(measure(target), measure(present))
    for name, weight in moved.items():
        assert abs(weight) <= max(abs(target.get(name, Decimal(0))), abs(present.get(name, Decimal(0))))
        assert weight == weight.quantize(WEIGHT_STEP)


@given(WEIGHTS, WEIGHTS)
def test_a_move_without_a_bound_or_within_it_arrives(target: dict[str, Decimal], present: dict[str, Decimal]) -> None:
    arrived = {**dict.fromkeys(present, Decimal(0)), **target}
    assert approach(target, present, None) == arrived
    assert approach(target, present, max(turnover_between(present, target), WEIGHT_STEP)) == arrived


@given(WEIGHTS, st.lists(st.decimals(-1, 1, places=6), max_size=4), rules())
def test_what_is_held_outside_of_the_target_takes_up_room(
    target: dict[str, Decimal], held: list[Decimal], asked: PortfolioRules
) -> None:
    fitted = make_room(target, held, asked)
    frozen = sum((abs(weight) for weight in held), Decimal(0))
    assert gross(fitted) + frozen <= max(asked.gross, frozen)
    assert abs(sum(fitted.values())) <= abs(sum(target.values()))


def test_the_way_is_gone_in_proportion() -> None:
    target = {"A": Decimal("0.5"), "B": Decimal("-0.5")}
    moved = approach(target, {"C": Decimal("0.5")}, Decimal("0.75"))
    assert {name: round(weight, 4) for name, weight in moved.items()} == {
        "A": Decimal("0.25"),
        "B": Decimal("-0.25"),
        "C": Decimal("0.25"),
    }


def test_ties_go_by_symbol() -> None:
    asked = PortfolioRules(top=1, bottom=1)
    assert construct([("C", 1.0), ("A", 1.0), ("B", 1.0)], asked) == {"A": Decimal("0.5"), "C": Decimal("-0.5")}


def test_a_side_without_names_leaves_its_money_in_cash_and_the_net_cap_cuts_the_other() -> None:
    alone = [("A", 1.0)]
    assert construct(alone, PortfolioRules(top=2, bottom=2)) == {"A": Decimal("0.25")}
    assert construct(alone, PortfolioRules(top=2, bottom=2, net=Decimal("0.1"))) == {"A": Decimal("0.1")}
    assert construct(alone, PortfolioRules(top=2, bottom=2, net=Decimal(0))) == {}
    assert construct([], PortfolioRules(top=1)) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top": -1}, "top: got -1, allowed: a whole number from 0"),
        ({"top": 0}, r"top \+ bottom: got 0, allowed: at least 1"),
        ({"bottom": -2}, "bottom: got -2"),
        ({"gross": Decimal(0)}, "gross: got 0, allowed: above 0 up to 10"),
        ({"gross": Decimal("NaN")}, "gross: got NaN"),
        ({"net": Decimal(2)}, "net: got 2, allowed: 0 to gross 1"),
        ({"per_name": Decimal("1.5")}, "per_name: got 1.5, allowed: above 0 up to 1"),
        ({"turnover": Decimal(0)}, "turnover: got 0, allowed: above 0, or None for no bound"),
    ],
)
def test_rules_that_nothing_can_follow_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PortfolioRules(**({"top": 1} | changes))
