"""The models page shows shadows beside the active version."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from ops_console.shadow_lines import shadow_lines
from signals.models import ShadowResult, ShadowRole, ShadowSet
from tests.factories import WALL_NOW
from tests.signals.scoring_models import ranked_by_week

pytestmark = pytest.mark.django_db
SESSION = date(2012, 1, 4)


def made(session: date, failure: str = "", **result: Any) -> None:
    version = ranked_by_week("alpha_baseline").version_id
    said = ShadowSet.objects.create(
        version_id=version,
        strategy="alpha_baseline",
        as_of_date=session.replace(day=session.day - 1),
        session=session,
        universe=["IBM"],
        parameters={},
        data_hash="" if failure else "0" * 64,
        code_version="",
        capital=Decimal(25_000),
        failure=failure,
        created_at=WALL_NOW,
    )
    if failure:
        return
    numbers = {"gross_return": "0.012", "cost": "0.001", "turnover": "0.5", "pnl": "275", "rank_ic": 0.25}
    ShadowResult.objects.create(
        version_id=version,
        strategy="alpha_baseline",
        session=session,
        role=ShadowRole.SHADOW,
        shadow_set=said,
        unpriced=[],
        created_at=WALL_NOW,
        **numbers | result,
    )


def test_a_version_is_shown_with_what_it_would_have_brought(admin_client: Client) -> None:
    made(SESSION)
    made(date(2012, 1, 6), gross_return="-0.002")
    made(date(2012, 1, 10), failure="ArtefactError: the file was altered")
    (line,) = shadow_lines("alpha_baseline")
    assert (line.sessions, line.returned, line.tone, line.pnl) == (2, "+0.80%", "gain", "+550.00")
    assert (line.turnover, line.rank_ic, line.failures) == ("50.00%", "0.2500", 1)
    page = admin_client.get("/models/").content.decode()
    assert "+0.80%" in page
    assert "2012-01-04 to 2012-01-06" in page


def test_nothing_is_shown_while_nothing_was_in_the_shadow() -> None:
    ranked_by_week("alpha_baseline")
    assert shadow_lines("alpha_baseline") == []
