"""A limit that is another for a while: two people, a reason, and the clock."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from risk.errors import InvalidLimit, InvalidReason, RequestNotPending, SecondOperatorRequired
from risk.models import LimitChange, LimitOverride
from risk.selectors import limit_book
from risk.services.limits import set_limit
from risk.services.overrides import LONGEST, approve_override, reject_override, request_override, revoke_override
from tests.factories import WALL_NOW

pytestmark = pytest.mark.django_db
D = Decimal
HOUR = timedelta(hours=1)
REASON = "index rebalance at the close"


def asked(**fields) -> LimitOverride:
    values = {
        "name": "max_order_quantity",
        "value": D(20_000),
        "valid_until": WALL_NOW + HOUR,
        "operator": "ann",
        "reason": REASON,
        "now": WALL_NOW,
    }
    return request_override(**values | fields)


def approved(**fields) -> LimitOverride:
    return approve_override(override_id=asked(**fields).pk, operator="bob", now=WALL_NOW)


def in_force(at=WALL_NOW, *, strategy: str = "manual", symbol: str = "AAPL") -> Decimal:
    return limit_book().resolve(strategy=strategy, symbol=symbol, at=at).strategy.max_order_quantity


def test_a_request_alone_changes_nothing() -> None:
    asked()
    assert (in_force(), LimitChange.objects.count()) == (10_000, 0)


@pytest.mark.control(26, "unit")
def test_another_persons_approval_counts_and_is_a_change_of_limits() -> None:
    override = approved()
    assert in_force() == 20_000
    change = LimitChange.objects.get()
    assert (change.override, change.operator, change.reason) == (override, "bob", REASON)
    assert (change.old_value, change.new_value) == (None, 20_000)


def test_nobody_approves_the_own_request_and_the_database_keeps_it_so() -> None:
    override = asked()
    with pytest.raises(SecondOperatorRequired):
        approve_override(override_id=override.pk, operator="ann", now=WALL_NOW)
    with pytest.raises(IntegrityError, match="override_needs_two"), transaction.atomic():
        LimitOverride.objects.filter(pk=override.pk).update(state="approved", decided_by="ann", decided_at=WALL_NOW)
    assert in_force() == 10_000


@pytest.mark.parametrize(("before", "value"), [(1, 20_000), (0, 10_000), (-1, 10_000)])
def test_the_clock_ends_it_and_no_job_has_to(before: int, value: int) -> None:
    approved()
    assert in_force(WALL_NOW + HOUR - timedelta(microseconds=before)) == value


def test_it_begins_when_it_is_said_to() -> None:
    approved(valid_from=WALL_NOW + HOUR, valid_until=WALL_NOW + 2 * HOUR)
    assert [in_force(WALL_NOW + each * HOUR) for each in (0, 1, 2)] == [10_000, 20_000, 10_000]


def test_an_override_stands_before_the_stored_value_of_its_scope_and_behind_a_more_specific_one() -> None:
    common = {"name": "max_order_quantity", "operator": "ann", "reason": REASON, "now": WALL_NOW}
    set_limit(value=D(5_000), **common)
    set_limit(value=D(7), symbol="IBM", **common)
    approved()
    assert (in_force(), in_force(symbol="IBM")) == (20_000, 7)


def test_it_binds_its_strategy_and_symbol_only() -> None:
    approved(strategy="manual", symbol="AAPL")
    assert (in_force(), in_force(symbol="IBM"), in_force(strategy="momentum")) == (20_000, 10_000, 10_000)
    assert limit_book().resolve(strategy="manual", symbol="AAPL", at=WALL_NOW).account.max_order_quantity == 10_000


def test_one_person_takes_it_back_at_once() -> None:
    override = approved()
    revoke_override(override_id=override.pk, operator="cleo", reason="the rebalance is done", now=WALL_NOW)
    assert in_force() == 10_000
    assert list(LimitChange.objects.order_by("id").values_list("new_value", "operator")) == [
        (D(20_000), "bob"),
        (None, "cleo"),
    ]
    with pytest.raises(RequestNotPending, match="revoked"):
        revoke_override(override_id=override.pk, operator="cleo", reason="the rebalance is done", now=WALL_NOW)


@pytest.mark.parametrize("decide", [approve_override, reject_override])
def test_a_request_is_decided_once_and_in_its_time(decide) -> None:
    override = asked()
    with pytest.raises(RequestNotPending, match="over"):
        decide(override_id=override.pk, operator="bob", now=WALL_NOW + HOUR)
    reject_override(override_id=override.pk, operator="ann", now=WALL_NOW)
    with pytest.raises(RequestNotPending, match="rejected"):
        decide(override_id=override.pk, operator="bob", now=WALL_NOW)
    with pytest.raises(RequestNotPending, match="none of that number"):
        decide(override_id=10**9, operator="bob", now=WALL_NOW)


@pytest.mark.parametrize("name", ["kill_switch", "reconciliation", "breaker", "INVALID_QUANTITY", ""])
@pytest.mark.control(26, "unit")
def test_what_is_no_limit_cannot_be_overridden(name: str) -> None:
    with pytest.raises(InvalidLimit, match="allowed are"):
        asked(name=name)


@pytest.mark.parametrize(
    "fields",
    [
        {"value": D(-1)},
        {"value": D("NaN")},
        {"value": D(10) ** 12},
        {"valid_until": WALL_NOW},
        {"valid_until": WALL_NOW + LONGEST + timedelta(seconds=1)},
        {"valid_from": WALL_NOW + HOUR, "valid_until": WALL_NOW + HOUR},
    ],
)
def test_values_and_times_are_checked(fields) -> None:
    with pytest.raises(InvalidLimit):
        asked(**fields)
    assert not LimitOverride.objects.exists()


def test_a_reason_is_needed() -> None:
    with pytest.raises(InvalidReason):
        asked(reason="because")


def test_a_soft_value_can_be_another_for_a_while_as_well() -> None:
    approved(name="soft_max_order_quantity", value=D(9_000))
    soft = limit_book().resolve(strategy="manual", symbol="AAPL", at=WALL_NOW).soft
    assert (soft.strategy.max_order_quantity, in_force()) == (9_000, 10_000)
