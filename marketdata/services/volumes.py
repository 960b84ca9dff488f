"""Average daily volume as a feed knows it: a replay sees no volumes of a later date, and leaves the desk's alone."""

from collections.abc import Sequence
from datetime import date

from django.db import connection

from marketdata.models import Feed
from marketdata.services.instruments import average_daily_volumes

# A quoted symbol whose average is not known yet (a new listing) counts as 0, so that checks that need it refuse.
_UPDATE = """
UPDATE marketdata_quote AS quote SET average_daily_volume = coalesce(known.volume, 0)
FROM marketdata_instrument AS instrument
LEFT JOIN unnest(%s::text[], %s::numeric[]) AS known(symbol, volume) USING (symbol)
WHERE quote.feed_id = %s AND quote.instrument_id = instrument.id AND instrument.symbol = ANY(%s)
  AND quote.average_daily_volume IS DISTINCT FROM coalesce(known.volume, 0)
"""


def store_feed_volumes(*, feed: Feed, symbols: Sequence[str], as_of: date) -> None:
    """Set the average daily volume of the feed's quotes to what was known after the session `as_of`. One statement."""
    volumes = average_daily_volumes(symbols, as_of)
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [list(volumes), list(volumes.values()), feed.pk, list(symbols)])
