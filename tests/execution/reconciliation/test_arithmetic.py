"""The price of what no execution tells, exactly; what of a fill was inferred already."""

from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from execution.ledger import rounded
from execution.reconciliation.arithmetic import Difference, Span, covered, differences, price_of_missing

D = Decimal
shares = st.integers(1, 10_000).map(D)
prices = st.integers(1, 1_000_000).map(lambda cents: D(cents) / 100)


@given(shares, prices, shares, prices)
def test_the_price_of_missing_shares_is_what_they_cost(first: D, paid: D, second: D, then: D) -> None:
    whole = first + second
    average = (first * paid + second * then) / whole
    found = price_of_missing(quantity_before=first, average_before=paid, quantity_after=whole, average_after=average)
    assert found is not None
    assert abs(found - then) < D("0.000001")


@given(shares, prices, shares)
def test_no_more_shares_have_no_price(first: D, paid: D, fewer: D) -> None:
    assume(fewer <= first)
    told = {"quantity_before": first, "average_before": paid, "quantity_after": fewer, "average_after": paid}
    assert price_of_missing(**told) is None


def test_averages_that_contradict_each_other_have_no_price() -> None:
    told = {"quantity_before": D(10), "average_before": D(100), "quantity_after": D(11), "average_after": D(1)}
    assert price_of_missing(**told) is None


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 200), st.integers(1, 50))
def test_spans_side_by_side_cover_no_share_twice(lengths: list[int], low: int, length: int) -> None:
    spans, at = [], 0
    for each in lengths:
        spans.append(Span(D(at), D(at + each)))
        at += each
    span = Span(D(low), D(low + length))
    assert covered(span, spans) == max(0, min(at, low + length) - low)


def test_99_fractions_within_the_brokers_precision_are_no_difference() -> None:
    ours = {"AAPL": D("10.12345679")}
    assert differences(ours, {"AAPL": D("10.123456789")}) == []
    [found] = differences(ours, {"AAPL": D("10.1235")})
    assert found.missing == rounded(D("10.1235") - D("10.12345679"))


def test_more_of_the_same_direction_only_adds() -> None:
    assert Difference("A", D(0), D(5)).only_adds
    assert Difference("A", D(-5), D(-7)).only_adds
    for ours, theirs in ((5, 0), (5, 3), (5, -5), (-5, 5), (0, 0)):
        assert not Difference("A", D(ours), D(theirs)).only_adds
