"""The book in the admin: history is shown, acts go through services."""

from execution.admin import accounts, broker, fills, halting, orders, paper, positions, reconciliation, slicing

__all__ = ["accounts", "broker", "fills", "halting", "orders", "paper", "positions", "reconciliation", "slicing"]
