"""Bring the built-in sample in: instruments, corporate actions, bars, volumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from marketdata.calendar import previous_session
from marketdata.derivation import derive_actions
from marketdata.errors import MarketDataError
from marketdata.models import Instrument
from marketdata.providers.sample import SAMPLE_NAMES, SAMPLE_SECTORS, SampleProvider
from marketdata.services.actions import store_actions
from marketdata.services.bars import ImportReport, Progress, import_frame
from marketdata.services.feeds import SAMPLE_REPLAY
from marketdata.services.instruments import ensure_instrument, refresh_statistics


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What was new; nothing, when the sample was already there."""

    bars: ImportReport
    new_actions: int

    @property
    def changed(self) -> bool:
        """Say whether anything is different from before."""
        return self.bars.changed or self.new_actions > 0


def import_sample(
    *, wall_now: datetime, symbols: Sequence[str] | None = None, on_progress: Progress | None = None
) -> SampleReport:
    """Import the sample; doing it again changes nothing.

    Corporate actions go first, so that the quality gate knows what explains a fall. Instruments without an average
    volume get that of the session before the sample's replay begins.
    :raises MarketDataError: a symbol is not in the sample, or the sample is not installed
    """
    wanted = sorted(symbols or SAMPLE_NAMES)
    unknown = [symbol for symbol in wanted if symbol not in SAMPLE_NAMES]
    if unknown:
        raise MarketDataError(f"{', '.join(unknown)} not in the sample: {', '.join(SAMPLE_NAMES)} are")
    provider = SampleProvider()
    frame = provider.bars(wanted)
    with transaction.atomic():
        for symbol in wanted:
            name, exchange = SAMPLE_NAMES[symbol]
            ensure_instrument(symbol=symbol, name=name, exchange=exchange)
            Instrument.objects.filter(symbol=symbol, sector="").update(sector=SAMPLE_SECTORS[symbol])
        new_actions = store_actions(actions=derive_actions(frame).actions, source=provider.name)
    report = import_frame(frame=frame, source=provider.name, wall_now=wall_now, on_progress=on_progress)
    unmeasured = Instrument.objects.filter(symbol__in=wanted, adv_as_of__isnull=True)
    if symbols_left := list(unmeasured.values_list("symbol", flat=True)):
        refresh_statistics(symbols=symbols_left, as_of=previous_session(SAMPLE_REPLAY[0]))
    return SampleReport(report, new_actions)
