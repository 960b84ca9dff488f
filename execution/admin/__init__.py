"""The book in the admin: history is shown, acts go through services."""

from execution.admin import accounts, broker, fills, orders, paper, positions, reconciliation, slicing

__all__ = ["accounts", "broker", "fills", "orders", "paper", "positions", "reconciliation", "slicing"]
