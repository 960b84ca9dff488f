"""One checker of what must hold after everything that can happen; `manage.py doctor` and the tests run the same.

Each invariant has one function, and each function a test in which it finds a planted violation.

=====  ==========================================================  ================================================
I1     each order at the broker is one of ours, once, as wanted    `broker_log` (needs the broker's own log)
I2     shares are the sum of fills, cash that of its entries       `ledger`; with the log `broker_log`
I3     no order of ours passes a limit; reservations are exact     `exposure`
I4     nothing is sent in spite of a kill switch; cancels pass     `stops` (needs the broker's own log)
I5     every step is in the table, nothing leaves an end           `history`
I6     each message has its effect once                            `inbox`
I7     each run is done once in effect, or failed visibly          `trading.invariants`
I8     one entry for each change, none missing                     `history.check_entries`
I9     what the console shows is what the database says            `tests/ops_console` (snapshots and deltas)
I10    no order is unanswered for long unseen                      `unanswered`
I11    no secret in logs and errors                                `tests/execution/brokers/alpaca/test_safety.py`
I12    no binary fraction reaches an order                         `tests/architecture/test_money.py`
=====  ==========================================================  ================================================
"""

from collections.abc import Sequence
from datetime import datetime

from execution.emulator.log import EventLog
from execution.invariants.broker_log import check_broker_log
from execution.invariants.exposure import check_exposure
from execution.invariants.history import check_entries, check_history
from execution.invariants.inbox import check_inbox
from execution.invariants.ledger import check_ledger
from execution.invariants.stops import Stop, check_stops
from execution.invariants.unanswered import check_unanswered
from execution.invariants.violation import Violation
from execution.models import Account

__all__ = ["Stop", "Violation", "check_account", "check_against_log", "check_book"]


def check_book(account: Account) -> list[Violation]:
    """Return what is wrong in the book alone; empty at any committed instant."""
    return [
        *check_ledger(account),
        *check_exposure(account),
        *check_history(account),
        *check_entries(account),
        *check_inbox(account),
    ]


def check_account(account: Account, *, wall_now: datetime) -> list[Violation]:
    """Return what is wrong in the book now, orders among it that have waited for too long unseen."""
    return [*check_book(account), *check_unanswered(account, wall_now=wall_now)]


def check_against_log(
    account: Account, log: EventLog, *, settled: bool = True, stops: Sequence[Stop] = ()
) -> list[Violation]:
    """Return where the book and the broker's own log contradict each other.

    While messages are under way (`settled` is False) the book may know less than the log, and never more.
    """
    return [*check_broker_log(account, log, settled=settled), *check_stops(account, log, stops, settled=settled)]
