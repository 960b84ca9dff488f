"""A broker that is Alpaca to its client: for tests, drills and a whole paper desk without a key.

`venue` keeps orders, positions and cash and lets the market fill them (with `execution.matching`); `app` puts it on the
network with HTTP, `/stream` and the stock data stream; `faults` says what goes wrong and when; `log` is the append-only
record of what really happened, which tests compare our book with.
"""
