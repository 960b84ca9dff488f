"""What kind of account the emulated broker keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID, uuid5

from execution.matching.commission import FeeSchedule
from execution.matching.engine import DEFAULT_PARTICIPATION, MatchingRules
from execution.matching.slippage import NoSlippage, SlippageModel

ACCOUNTS = UUID("0b9f6a53-6e0c-5f6b-8f1e-5c2d9e7a3b41")
DEFAULT_ACCOUNT_NUMBER = "PA0EMULATOR"
DEFAULT_CASH = Decimal(100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """An account and how its orders execute; amounts are account currency.

    `multiplier` is how much can be held for each dollar of equity; `participation` the share of an event's volume that
    is ours at most. A cancel or a replace is done at the next look at the market, that many market seconds later at the
    earliest. With `gtc_done_for_day` what is good till canceled rests overnight as done_for_day.
    """

    account_number: str = DEFAULT_ACCOUNT_NUMBER
    starting_cash: Decimal = DEFAULT_CASH
    multiplier: Decimal = Decimal(2)
    seed: int = 7
    participation: Decimal = DEFAULT_PARTICIPATION
    slippage: SlippageModel = field(default_factory=NoSlippage)
    fees: FeeSchedule = field(default_factory=FeeSchedule)
    cancel_delay_seconds: Decimal = Decimal(0)
    replace_delay_seconds: Decimal = Decimal(0)
    gtc_done_for_day: bool = True

    @property
    def account_id(self) -> str:
        """Return the account's id: the same for the same number on every machine."""
        return str(uuid5(ACCOUNTS, self.account_number))

    def rules(self) -> MatchingRules:
        """Return how the venue executes."""
        return MatchingRules(participation=self.participation, slippage=self.slippage, fees=self.fees)
