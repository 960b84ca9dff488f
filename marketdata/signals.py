"""News of this app, sent in `on_commit` with ids only."""

from django.dispatch import Signal

quotes_changed = Signal()
"""Sent with `feed_id: int` and `instrument_ids: list[int]` after quotes were stored."""
