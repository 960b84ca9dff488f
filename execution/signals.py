"""News of the book for whoever shows it; sent after commit, with ids only."""

from django.dispatch import Signal

orders_changed = Signal()  # account_id, order_ids
positions_changed = Signal()  # account_id, position_ids
session_closed = Signal()  # account_id, date
