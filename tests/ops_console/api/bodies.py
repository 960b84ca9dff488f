"""Bodies that tests send."""

from typing import Any

ORDERS = "/api/v1/orders"
REASON = "a reason that is long enough"


def order(**fields: Any) -> dict[str, Any]:
    """Return a body that buys ten AAPL at the market."""
    return {"strategy": "manual", "symbol": "AAPL", "side": "buy", "quantity": "10"} | fields
