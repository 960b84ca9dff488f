"""What Alpaca has and we do not keep: said so, never pretended."""

from rest_framework.request import Request
from rest_framework.response import Response

from execution.alpaca_wire.errors import NOT_FOUND, WireError
from ops_console.alpaca_api.base import AlpacaView


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
