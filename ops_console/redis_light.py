"""Ask Redis whether it is there; nothing depends on the answer but a light and the speed of prices."""

from functools import lru_cache

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

PATIENCE_SECONDS = 0.25


@lru_cache(maxsize=4)
def _client(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def redis_client() -> Redis:
    """Return this process's impatient client: it fails quickly and never tries twice."""
    return _client(str(settings.REDIS_URL))


def redis_answers() -> bool:
    """Tell whether Redis answers within a quarter of a second."""
    try:
        return bool(redis_client().ping())
    except RedisError:
        return False
