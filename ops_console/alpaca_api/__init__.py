"""The API of `/alpaca`: what a program written for Alpaca says, through our gate and out of our book.

An unmodified `TradingClient`, `StockHistoricalDataClient` and `TradingStream` of alpaca-py work with nothing changed
but their addresses and keys. The wire format is `execution.alpaca_wire`'s; docs/alpaca_api.md tells what differs.
"""
