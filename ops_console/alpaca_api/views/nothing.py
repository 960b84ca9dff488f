"""What Alpaca has and we do not keep: said so, never pretended."""

from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire.errors import NOT_FOUND, WireError
from ops_console.alpaca_api.base import AlpacaView
from ops_console.scopes import Scope

ANY_METHOD = {
    "GET": Scope.READ,
    "POST": Scope.READ,
    "PUT": Scope.READ,
    "PATCH": Scope.READ,
    "DELETE": Scope.READ,
}


class WatchlistsView(AlpacaView):
    """GET and POST /v2/watchlists: there are none, and none can be made."""

    scopes = {"GET": Scope.READ, "POST": Scope.READ}

    def get(self, request: Request) -> Response:
        """Answer with the empty list."""
        return Response([])

    def post(self, request: Request) -> Response:
        """Say that none can be made."""
        raise no_watchlists()


class WatchlistView(AlpacaView):
    """/v2/watchlists/{id} and what is below it."""

    scopes = ANY_METHOD

    def get(self, request: Request, rest: str) -> Response:
        """Say that there is none."""
        raise no_watchlists()

    post = put = patch = delete = get


class OptionContractsView(AlpacaView):
    """GET /v2/options/contracts: no options are traded here."""

    def get(self, request: Request) -> Response:
        """Answer with the empty list."""
        return Response({"option_contracts": [], "next_page_token": None})


class NothingHere(AlpacaView):
    """Every other address below `/alpaca/`."""

    authentication_classes = ()  # type: ignore[assignment]

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Answer 404 whoever asks, with whatever method."""
        raise WireError(404, NOT_FOUND, f"endpoint not found: {request.path[:200]}")

    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Never reached."""
        raise WireError(404, NOT_FOUND, "endpoint not found")

    post = put = patch = delete = options = head = get  # type: ignore[assignment]


def no_watchlists() -> WireError:
    """Return the answer for a watch list."""
    return WireError(404, NOT_FOUND, "watchlist not found: watch lists are not kept here")
