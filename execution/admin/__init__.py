"""The book in the admin: history is shown, acts go through services."""

from execution.admin import accounts, fills, orders, paper, positions

__all__ = ["accounts", "fills", "orders", "paper", "positions"]
