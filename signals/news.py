"""News of this app for whoever shows it or acts on it; ids and short words only."""

from django.dispatch import Signal

models_changed = Signal()
"""A version was moved, after the commit; `version_id`."""
model_loaded = Signal()
"""This process has loaded a version and uses it; `version_id`, `strategy`."""
model_reload_failed = Signal()
"""This process could not load the active version; `version_id`, `strategy`, `kept_id` (None: nothing to go on with),
`reason`."""
