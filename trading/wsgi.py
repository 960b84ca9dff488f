"""Entry of the API process."""

import os

from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from risk.release import code_version
from trading.kept_connection import trust_recent_use

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trading.settings")
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018 -- views are imported now, not while the first order of a worker waits
code_version()  # before the files can change under the running process
request_started.connect(trust_recent_use)
