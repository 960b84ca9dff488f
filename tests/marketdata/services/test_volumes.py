from datetime import date

import pytest
from pytest_django import DjangoAssertNumQueries

from marketdata.lake import BarLake
from marketdata.models import Quote
from marketdata.services.sample import import_sample
from marketdata.services.volumes import store_feed_volumes
from tests.marketdata.factories import WALL, make_feed, make_quote

pytestmark = pytest.mark.django_db


def test_each_feed_has_the_volumes_of_its_own_date(
    lake: BarLake, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    import_sample(wall_now=WALL)
    desk, run = make_feed(), make_feed("run")
    for feed in (desk, run):
        for symbol in ("AAPL", "FB"):
            make_quote(feed, symbol)
    with django_assert_num_queries(2):
        store_feed_volumes(feed=run, symbols=["AAPL", "FB"], as_of=date(2012, 5, 21))
    known = dict(Quote.objects.filter(feed=run).values_list("instrument__symbol", "average_daily_volume"))
    assert (known["AAPL"] or 0) > 10_000_000
    assert known["FB"] == 0
    assert set(Quote.objects.filter(feed=desk).values_list("average_daily_volume", flat=True)) == {None}
