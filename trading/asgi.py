"""Entry of the web process: pages over HTTP, live updates over WebSocket."""

import os
from typing import Any

import django
from django.core.handlers.asgi import ASGIHandler

BODY = "trading.body"


class Handler(ASGIHandler):
    """Django's, which leaves the file of a request's body open when the server stops while the request is under way."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, and close its body whatever becomes of it."""
        try:
            await super().handle(scope, receive, send)
        finally:
            if BODY in scope:
                scope[BODY].close()

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Keep the body's file where the end of the request finds it."""
        scope[BODY] = body_file
        return super().create_request(scope, body_file)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trading.settings")
django.setup(set_prefix=False)
http = Handler()

from channels.routing import ProtocolTypeRouter  # noqa: E402 -- after the apps are ready

from ops_console.routing import websocket_application  # noqa: E402
from risk.release import code_version  # noqa: E402

code_version()  # before the files can change under the running process

application = ProtocolTypeRouter({"http": http, "websocket": websocket_application})
