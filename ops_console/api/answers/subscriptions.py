"""Who wants live prices, and how the feed is that brings them."""

from rest_framework import serializers

from marketdata.models import Feed
from marketdata.services.gaps import FeedHealth
from marketdata.services.subscriptions import SubscriptionView
from marketdata.types import FeedState, SubscriptionSource
from ops_console.api.answers.parts import Answer, Instant, Shape


class SourcesSerializer(Shape):
    """How many references there are of each source."""

    manual = serializers.IntegerField(min_value=0)
    position = serializers.IntegerField(min_value=0)
    open_order = serializers.IntegerField(min_value=0)
    watch_list = serializers.IntegerField(min_value=0)


class SubscriptionSerializer(Shape):
    """One subscribed instrument; it stays subscribed while it has any reference."""

    symbol = serializers.CharField()
    references = serializers.IntegerField(min_value=0)
    sources = SourcesSerializer()
    since = Instant(allow_null=True)


class SubscriptionListSerializer(Shape):
    """Every subscribed instrument of the desk's feed."""

    feed = serializers.CharField()
    results = SubscriptionSerializer(many=True)


class GapSerializer(Shape):
    """A stretch of wall time in which the stream told nothing; an open one has no end yet."""

    source = serializers.CharField()  # type: ignore[assignment]
    reason = serializers.CharField()
    detail = serializers.CharField(allow_blank=True)
    began_at = Instant()
    ended_at = Instant(allow_null=True)


class SubscriptionStatsSerializer(Shape):
    """The feed's health and its counts."""

    feed = serializers.CharField()
    state = serializers.ChoiceField(choices=FeedState.choices)
    source = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    problem = serializers.CharField(allow_blank=True)
    problem_at = Instant(allow_null=True)
    last_heard_at = Instant(allow_null=True)
    symbols = serializers.IntegerField(min_value=0)
    references = SourcesSerializer()
    halted = serializers.ListField(child=serializers.CharField())
    gaps_in_24_hours = serializers.IntegerField(min_value=0)
    newest_gap = GapSerializer(allow_null=True)
    unreadable_frames = serializers.IntegerField(min_value=0, help_text="In the last 24 hours, of the last thousand.")


def subscription_answer(view: SubscriptionView) -> Answer:
    """Return one subscribed instrument."""
    return {
        "symbol": view.symbol,
        "references": view.references,
        "sources": {source: view.sources.get(source, 0) for source in SubscriptionSource.values},
        "since": view.since,
    }


def gone_answer(symbol: str) -> Answer:
    """Return an instrument that nobody wants any more."""
    return {
        "symbol": symbol,
        "references": 0,
        "sources": dict.fromkeys(SubscriptionSource.values, 0),
        "since": None,
    }


def stats_answer(feed: Feed, views: list[SubscriptionView], health: FeedHealth) -> Answer:
    """Return counts and health."""
    gap = health.newest_gap
    return {
        "feed": feed.name,
        "state": feed.state,
        "source": feed.source,
        "problem": feed.problem,
        "problem_at": feed.problem_at,
        "last_heard_at": feed.last_tick_at,
        "symbols": len(views),
        "references": {
            source: sum(view.sources.get(source, 0) for view in views) for source in SubscriptionSource.values
        },
        "halted": health.halted,
        "gaps_in_24_hours": health.gaps,
        "newest_gap": None
        if gap is None
        else {
            "source": gap.source,
            "reason": gap.reason,
            "detail": gap.detail,
            "began_at": gap.began_at,
            "ended_at": gap.ended_at,
        },
        "unreadable_frames": health.unreadable_frames,
    }
