"""The built-in exchange: a persistent simulated broker for every paper account.

`broker` is the adapter, `entry` takes orders in, `book` works them against events, `actions` applies splits and
dividends, `rules` gives the engine its settings. Every change is one transaction under the
venue's row lock, so a process may be killed anywhere and told the same things again.
"""

from execution.brokers.paper.broker import PaperBroker

__all__ = ["PaperBroker"]
