"""Views of the Alpaca-compatible API."""
