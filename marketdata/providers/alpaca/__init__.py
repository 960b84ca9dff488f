"""Market data from Alpaca: bars, corporate actions and newest prices by REST, the market as it happens by stream.

The library `alpaca-py` is not used here: its clients have no timeouts, read prices into binary floating point and
validate each message into a model, which drops what they do not know.
"""
