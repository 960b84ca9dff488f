"""WebSocket addresses, and who may open them.

The console's: same origin, logged in. The stream of the Alpaca-compatible API: programs, which bring a key in their
first message; a page of another origin has none, so nothing is asked of the origin.
"""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path, re_path

from ops_console.alpaca_api.consumer import TradeUpdatesConsumer
from ops_console.consumers import ConsoleConsumer

websocket_urlpatterns = [path("ws/console/", ConsoleConsumer.as_asgi())]
pages = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
websocket_application = URLRouter([path("alpaca/stream", TradeUpdatesConsumer.as_asgi()), re_path(r"", pages)])
