"""One version trades: who announces last, and nobody twice."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from execution.models import Account
from execution.services.dispatch import dispatch_once
from risk import release, selectors
from risk.models import Release
from risk.services import releases
from tests.execution.fake_broker import FakeBroker
from tests.factories import WALL_NOW, make_account, make_order

pytestmark = pytest.mark.django_db


def test_announcing_again_changes_nothing_and_another_version_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first = releases.announce_release(operator="ann", now=WALL_NOW)
    assert releases.announce_release(operator="bob", now=WALL_NOW + timedelta(hours=1)) == first
    monkeypatch.setattr(releases, "code_version", lambda: "0123456789ab")
    second = releases.announce_release(operator="bob", now=WALL_NOW)
    assert (second.version, Release.objects.count()) == ("0123456789ab", 2)


def test_a_version_is_of_the_sources_and_stays_in_a_process() -> None:
    assert len(release.code_version()) == release.LENGTH
    assert release.code_version() is release.code_version()


def test_23_a_process_of_another_version_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = make_account(), FakeBroker()
    order = make_order(account)
    releases.announce_release(operator="ann", now=WALL_NOW)
    with monkeypatch.context() as other:
        other.setattr(selectors, "code_version", lambda: "0123456789ab")
        assert dispatch_once(account=account, broker=broker, wall_now=WALL_NOW).sent == 0
    order.refresh_from_db()
    assert order.status == "pending"
    assert dispatch_once(account=account, broker=broker, wall_now=WALL_NOW).sent == 1


def test_23_a_replay_is_one_process_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    account, broker = make_account(kind=Account.Kind.REPLAY), FakeBroker()
    monkeypatch.setattr(releases, "code_version", lambda: "0123456789ab")
    releases.announce_release(operator="ann", now=WALL_NOW)
    make_order(account)
    assert dispatch_once(account=account, broker=broker, wall_now=WALL_NOW).sent == 1


def test_announcements_are_history() -> None:
    row = releases.announce_release(operator="ann", now=WALL_NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        Release.objects.filter(pk=row.pk).update(version="000000000000")
