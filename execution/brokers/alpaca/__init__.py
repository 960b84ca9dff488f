"""Alpaca, paper and live: the only package of this app that imports its library.

`configuration` says who we are and where, `session` and `line` carry requests, `budget` and `failures` say when one may
be sent and what became of it, `pace` how many may go at once, `words` translates orders, `assets` reads what is traded
and lent, `broker` is the adapter.
"""

from execution.brokers.alpaca.broker import AlpacaBroker
from execution.brokers.alpaca.configuration import AlpacaConfiguration, configuration_of

__all__ = ["AlpacaBroker", "AlpacaConfiguration", "configuration_of"]
