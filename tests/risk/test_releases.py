"""One version trades: who announces last, and nobody twice."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from risk import release
from risk.models import Release
from risk.services import releases
from tests.factories import WALL_NOW

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


def test_announcements_are_history() -> None:
    row = releases.announce_release(operator="ann", now=WALL_NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        Release.objects.filter(pk=row.pk).update(version="000000000000")
