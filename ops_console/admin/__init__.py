"""Keys, the admin's own log and the task queue in the admin."""

from django.contrib import admin

from ops_console.admin import log, queue, saved_queries, signatures, tokens, tries

__all__ = ["log", "queue", "saved_queries", "signatures", "tokens", "tries"]

admin.site.site_header = admin.site.site_title = "Portcullis"
admin.site.index_title = "Administration"
