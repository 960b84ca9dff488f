"""Changing limits and the restricted list: who, why, and from the next order on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.db import IntegrityError

from marketdata.models import Instrument
from risk import selectors
from risk.errors import InvalidLimit, InvalidReason
from risk.limits import LIMITS
from risk.models import Limit, LimitChange, RestrictedInstrument
from risk.services import limits
from risk.signals import limits_changed
from tests.risk.threads import in_another_transaction

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
NAME = "max_gross_notional"
REASON = "room for the new strategy"


def set_limit(value, *, name=NAME, reason=REASON, **scope):
    return limits.set_limit(name=name, value=value, operator="alice", reason=reason, now=NOW, **scope)


def in_force(strategy="momentum", symbol="AAPL", name=NAME):
    return getattr(selectors.limit_book().resolve(strategy=strategy, symbol=symbol).strategy, name)


def test_a_change_is_in_force_at_once_and_leaves_a_row():
    assert in_force() == D(500_000)
    first = set_limit(D(600_000))
    assert in_force() == D(600_000)
    second = set_limit(D(700_000))
    assert in_force() == D(700_000)
    assert (first.old_value, first.new_value) == (None, D(600_000))
    assert (second.old_value, second.new_value, second.operator, second.reason) == (
        D(600_000),
        D(700_000),
        "alice",
        REASON,
    )
    assert selectors.limits_version() == second.pk
    assert Limit.objects.count() == 1


def test_removing_an_override_brings_the_default_back():
    set_limit(D(600_000))
    change = set_limit(None)
    assert (change.old_value, change.new_value) == (D(600_000), None)
    assert in_force() == D(500_000)
    assert not Limit.objects.exists()


def test_overrides_by_strategy_and_symbol_are_rows_of_their_own():
    set_limit(D(3), strategy="momentum")
    set_limit(D(2), symbol="AAPL")
    set_limit(D(4), strategy="momentum", symbol="AAPL")
    assert (in_force(), in_force(symbol="MSFT"), in_force(strategy="other")) == (D(4), D(3), D(2))


@pytest.mark.parametrize("item", LIMITS.values(), ids=LIMITS)
def test_values_at_and_past_both_ends(item):
    for value in (item.minimum, item.maximum):
        assert set_limit(value, name=item.name).new_value == value
    count = LimitChange.objects.count()
    for value in (item.minimum - 1, item.maximum + 1, D("NaN"), D("Infinity")):
        with pytest.raises(InvalidLimit, match=item.name):
            set_limit(value, name=item.name)
    assert LimitChange.objects.count() == count


def test_unknown_limit_is_refused_with_what_is_allowed():
    with pytest.raises(InvalidLimit, match="max_names"):
        set_limit(D(1), name="max_fun")


@pytest.mark.parametrize(("length", "fits"), [(9, False), (10, True), (500, True), (501, False)])
def test_length_of_the_reason(length, fits):
    if fits:
        set_limit(D(1), reason="x" * length)
    else:
        with pytest.raises(InvalidReason):
            set_limit(D(1), reason="x" * length)
    assert LimitChange.objects.exists() is fits


def test_limits_are_read_once_a_version(django_assert_num_queries):
    set_limit(D(600_000))
    in_force()
    with django_assert_num_queries(1):
        in_force()
    version = selectors.limits_version()
    with django_assert_num_queries(0):
        assert selectors.limit_book(version).version == version


def test_the_environment_sets_position_size_and_price_age(settings):
    settings.MAX_POSITION_SIZE, settings.DATA_FRESHNESS_MINUTES = 77, 3
    defaults = selectors.default_limits()
    assert (defaults["max_position_quantity"], defaults["max_price_age_seconds"]) == (77, 180)


def test_news_go_out_after_the_commit(django_capture_on_commit_callbacks):
    heard = []

    def hear(sender, change_id, **_):
        heard.append(change_id)

    limits_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            change = set_limit(D(1))
            assert heard == []
    finally:
        limits_changed.disconnect(hear)
    assert heard == [change.pk]


@pytest.mark.django_db(transaction=True)
def test_versions_become_visible_in_their_order(monkeypatch):
    """While a change is not committed no later one gets ahead of it: else the earlier would never be read."""
    from django.db import OperationalError, connection

    with in_another_transaction(lambda: set_limit(D(600_000))), connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
        try:
            with pytest.raises(OperationalError, match="lock timeout"):
                set_limit(D(7), name="max_names")
        finally:
            cursor.execute("SET lock_timeout = 0")
    assert in_force() == D(600_000)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_a_change_is_never_read(monkeypatch):
    monkeypatch.setattr(limits, "lock_changes", lambda: None)
    with in_another_transaction(lambda: set_limit(D(600_000))):
        set_limit(D(7), name="max_names")
        assert in_force(name="max_names") == D(7)
    assert Limit.objects.get(name=NAME).value == D(600_000)
    assert in_force() == D(500_000)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("limit_name_known", {"name": "max_fun"}),
        ("limit_not_negative", {"value": D(-1)}),
    ],
)
def test_the_database_keeps_the_form_of_limits(constraint, fields):
    with pytest.raises(IntegrityError, match=constraint):
        Limit.objects.create(**{"name": NAME, "value": D(1)} | fields)


@pytest.fixture
def instrument():
    return Instrument.objects.create(symbol="AAPL")


def restrict(instrument, reason="insider list of March"):
    return limits.restrict_instrument(instrument=instrument, operator="alice", reason=reason, now=NOW)


def test_restricting_twice_is_one_row_and_lifting_keeps_it(instrument):
    row = restrict(instrument)
    assert restrict(instrument, reason="another reason for it") == row
    limits.lift_restriction(restriction=row, operator="bob", now=NOW + timedelta(hours=1))
    row.refresh_from_db()
    assert (row.lifted_by, row.lifted_at) == ("bob", NOW + timedelta(hours=1))
    limits.lift_restriction(restriction=row, operator="carol", now=NOW + timedelta(hours=2))
    row.refresh_from_db()
    assert row.lifted_by == "bob"
    assert restrict(instrument) != row
    assert RestrictedInstrument.objects.count() == 2


def test_a_restriction_needs_a_reason(instrument):
    with pytest.raises(InvalidReason):
        restrict(instrument, reason="short")
    assert not RestrictedInstrument.objects.exists()


def test_the_database_allows_one_active_restriction_a_name(instrument):
    restrict(instrument)
    with pytest.raises(IntegrityError, match="restriction_one_active"):
        RestrictedInstrument.objects.create(instrument=instrument, reason="x" * 10, operator="bob", at=NOW)
