"""News of this app for whoever shows it or acts on it; ids and short words only."""

from django.dispatch import Signal

models_changed = Signal()
"""A version was moved, after the commit; `version_id`."""
model_loaded = Signal()
"""This process uses the active version: it has loaded it, or needs another one no more (`version_id` may be None where
nothing is active); `version_id`, `strategy`."""
model_reload_failed = Signal()
"""This process could not load the active version; `version_id`, `strategy`, `kept_id` (None: nothing to go on with),
`reason`."""
