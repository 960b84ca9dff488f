"""Live prices by hand: ask for them, take it back, and see who else wants what."""

from rest_framework.request import Request
from rest_framework.response import Response

from marketdata.services.gaps import feed_health
from marketdata.services.subscriptions import SubscriptionRefused, subscribe, subscriptions, unsubscribe
from ops_console.api import fields
from ops_console.api.answers.subscriptions import (
    SubscriptionListSerializer,
    SubscriptionSerializer,
    SubscriptionStatsSerializer,
    gone_answer,
    stats_answer,
    subscription_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from ops_console.api.problems import Problem, invalid
from ops_console.scopes import Scope

SYMBOL = fields.symbol()
BODY: dict[str, fields.Field] = {"symbols": fields.symbol_list(required=True)}
NO_FIELDS: dict[str, fields.Field] = {}


class SubscriptionsView(ApiView):
    """Everything that is subscribed."""

    scopes = {"GET": Scope.READ, "POST": Scope.TRADE}

    @documented(
        "subscriptions_list",
        "Instruments with live prices, and who wants them",
        answers={200: SubscriptionListSerializer},
    )
    def get(self, request: Request) -> Response:
        """Return every subscribed instrument of the desk's feed."""
        feed = desk().account.feed
        return Response({"feed": feed.name, "results": [subscription_answer(view) for view in subscriptions(feed)]})

    @documented(
        "subscriptions_create",
        "Ask for live prices",
        description="Subscribed within a second. Asking again changes nothing.",
        body=BODY,
        example={"symbols": ["AAPL", "IBM"]},
        answers={200: SubscriptionListSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer with the subscriptions of the named symbols."""
        symbols = fields.read_fields(body_of(request), BODY)["symbols"]
        now = desk()
        operator = caller_of(request).username
        try:
            subscribe(feed=now.account.feed, symbols=symbols, operator=operator, wall_now=now.wall_now)
        except SubscriptionRefused as error:
            raise invalid("symbols", ",".join(symbols), str(error)) from error
        views = [view for view in subscriptions(now.account.feed) if view.symbol in symbols]
        return Response({"feed": now.account.feed.name, "results": [subscription_answer(view) for view in views]})


class SubscriptionView(ApiView):
    """One instrument."""

    scopes = {"DELETE": Scope.TRADE}

    @documented(
        "subscriptions_delete",
        "Take back what was asked for by hand",
        description="The instrument stays subscribed while a position, an open order or a watch list wants it.",
        answers={200: SubscriptionSerializer},
        problems=[ProblemCode.INVALID_INPUT, ProblemCode.NOT_FOUND, ProblemCode.CSRF_FAILED],
    )
    def delete(self, request: Request, symbol: str) -> Response:
        """Answer with what is left of the subscription."""
        if request._request.body:
            fields.read_fields(body_of(request), NO_FIELDS)
        try:
            left = unsubscribe(feed=desk().account.feed, symbol=SYMBOL.read(symbol))
        except fields.Refused as error:
            raise Problem(ProblemCode.NOT_FOUND, f"no instrument has such a symbol; {SYMBOL.allowed}") from error
        except SubscriptionRefused as error:
            raise Problem(ProblemCode.NOT_FOUND, str(error)) from error
        return Response(gone_answer(symbol) if left is None else subscription_answer(left))


class SubscriptionStatsView(ApiView):
    """How the feed is."""

    @documented(
        "subscriptions_stats", "Counts and health of the desk's feed", answers={200: SubscriptionStatsSerializer}
    )
    def get(self, request: Request) -> Response:
        """Return counts, state, problems, gaps and halts."""
        now = desk()
        feed = now.account.feed
        return Response(stats_answer(feed, subscriptions(feed), feed_health(feed, now.wall_now)))
