"""The project's settings with room for a load test: requests are still counted, only never too many."""

from trading.settings import *  # noqa: F403

API_RATES = dict.fromkeys(("orders", "reads", "controls", "address"), 1000000000)
