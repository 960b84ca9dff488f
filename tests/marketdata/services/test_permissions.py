"""A broker narrows what may be done with an instrument, and takes back only what it said itself."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from marketdata.admin import InstrumentForm
from marketdata.models import Instrument
from marketdata.services.permissions import Told, apply_permissions

pytestmark = pytest.mark.django_db
INACTIVE = {"tradable": "not traded (inactive)"}
AGAIN = {"tradable": ""}


@pytest.fixture(autouse=True)
def ibm(db: None) -> Instrument:
    return Instrument.objects.create(symbol="IBM")


def tell(denials: dict[str, str], *, teller: str = "alpaca_paper", symbol: str = "IBM") -> list[str]:
    changes = apply_permissions(teller=teller, told=[Told(symbol=symbol, denials=denials)])
    return [f"{change.symbol} {change.permission} {change.denied_by}".strip() for change in changes]


def flags(name: str = "tradable") -> tuple[bool, str]:
    row: tuple[bool, str] = Instrument.objects.values_list(name, f"{name}_denied_by").get(symbol="IBM")
    return row


def test_what_the_broker_denies_is_noted_with_its_words_and_given_back_by_it() -> None:
    assert tell(INACTIVE) == ["IBM tradable alpaca_paper: not traded (inactive)"]
    assert flags() == (False, "alpaca_paper: not traded (inactive)")
    assert tell(INACTIVE) == []
    assert tell({"tradable": "not traded (halted)"}) == ["IBM tradable alpaca_paper: not traded (halted)"]
    assert tell(AGAIN) == ["IBM tradable"]
    assert flags() == (True, "")
    assert tell(AGAIN) == []


def test_what_a_person_switched_off_stays_off_whatever_the_broker_says() -> None:
    Instrument.objects.update(tradable=False)
    for denials in (AGAIN, INACTIVE, AGAIN):
        assert tell(denials) == []
        assert flags() == (False, "")


def test_another_broker_does_not_give_back_what_this_one_took() -> None:
    tell(INACTIVE)
    assert tell(AGAIN, teller="alpaca") == []
    assert tell(INACTIVE, teller="alpaca") == []
    assert flags() == (False, "alpaca_paper: not traded (inactive)")


def test_each_permission_is_its_own() -> None:
    Instrument.objects.update(fractionable=True)
    tell({"tradable": "", "shortable": "hard to borrow", "fractionable": "whole shares only"})
    assert [flags(name)[0] for name in ("tradable", "shortable", "fractionable")] == [True, False, False]
    tell({"tradable": "", "shortable": "", "fractionable": ""})
    assert [flags(name) for name in ("tradable", "shortable", "fractionable")] == [(True, "")] * 3


def test_a_name_that_we_do_not_have_is_nobodys() -> None:
    assert tell(INACTIVE, symbol="NOSUCH") == []


def test_a_reason_without_end_is_cut() -> None:
    tell({"tradable": "x" * 500})
    assert len(flags()[1]) == 128


def test_the_database_knows_no_permission_that_is_given_and_denied() -> None:
    with pytest.raises(IntegrityError, match="instrument_tradable_or_denied"), transaction.atomic():
        Instrument.objects.update(tradable_denied_by="alpaca_paper: x")


def form_of(**fields: Any) -> InstrumentForm:
    """Fill in the form as a browser does: empty texts are sent, empty boxes are not."""
    instrument = Instrument.objects.get(symbol="IBM")
    values = InstrumentForm(instance=instrument).initial | fields
    return InstrumentForm({name: value for name, value in values.items() if value or value == ""}, instance=instrument)


def test_a_person_may_switch_on_what_the_broker_denied_until_it_says_so_again() -> None:
    tell(INACTIVE)
    form = form_of(tradable=True)
    assert form.is_valid(), form.errors
    form.save()
    assert flags() == (True, "")
    assert tell(INACTIVE) == ["IBM tradable alpaca_paper: not traded (inactive)"]


def test_a_person_takes_over_what_the_broker_denied_by_emptying_who_said_so() -> None:
    tell(INACTIVE)
    form = form_of(tradable_denied_by="")
    assert form.is_valid(), form.errors
    form.save()
    assert tell(AGAIN) == []
    assert flags() == (False, "")
