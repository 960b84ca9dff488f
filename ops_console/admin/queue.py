"""What the worker did, to look at. A schedule or a queued task names a callable, so neither is edited here."""

from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success

from marketdata.admin import ReadOnlyAdmin

for model in (Schedule, OrmQ, Success, Failure):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Success)
class SuccessAdmin(ReadOnlyAdmin):
    """Tasks that ended well."""

    list_display = ("name", "func", "started", "stopped", "attempt_count")
    search_fields = ("name", "func")
    date_hierarchy = "stopped"


@admin.register(Failure)
class FailureAdmin(ReadOnlyAdmin):
    """Tasks that failed; repeating one is left to what asked for it."""

    list_display = ("name", "func", "started", "stopped", "attempt_count", "result")
    search_fields = ("name", "func")
    date_hierarchy = "stopped"
