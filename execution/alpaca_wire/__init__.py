"""Alpaca's wire format as a server speaks it: what the emulator and our own Alpaca-compatible API both say and read.

`text` writes numbers and times, `errors` the error bodies, `orders` reads order bodies and writes orders and trade
updates, `answers` writes everything else. Plain dictionaries come out, ready for JSON. No ORM, no clock, no network.
The client's side of the same format is the adapter's (`execution.brokers.alpaca`).
"""
