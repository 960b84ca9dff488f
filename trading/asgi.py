"""Entry of the web process: pages over HTTP, live updates over WebSocket."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trading.settings")
http = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402 -- after the apps are ready

from ops_console.routing import websocket_application  # noqa: E402

application = ProtocolTypeRouter({"http": http, "websocket": websocket_application})
