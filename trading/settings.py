"""Settings of the project, read from the environment; what cannot be right stops the start with one line."""

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from csp.constants import NONE, SELF

from trading.embedded import EmbeddedServers
from trading.environment import ConfigurationError, Reader
from trading.logs import logging_settings
from trading.secret_key import development_key

REPOSITORY = Path(__file__).resolve().parent.parent
env = Reader(os.environ)

# The installation
BASE_DIR = REPOSITORY
VAR_DIR = Path(env.text("VAR_DIR", str(REPOSITORY / "var"))).resolve()
ENVIRONMENT = env.choice("ENVIRONMENT", "dev", ("dev", "test", "staging", "production"))
PUBLIC = ENVIRONMENT in ("staging", "production")
PROCESS_ROLE = env.choice(
    "PROCESS_ROLE", "command", ("command", "web", "api", "worker", "clock", "stream", "dispatcher")
)
DEBUG = False
SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY and PUBLIC:
    env.complain("SECRET_KEY", "", f"a random text of at least 50 characters when ENVIRONMENT is {ENVIRONMENT}")
SECRET_KEY = SECRET_KEY or development_key(VAR_DIR)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", () if PUBLIC else ("127.0.0.1", "localhost", "[::1]", "testserver"))
ALLOWED_ORIGINS = env.words("ALLOWED_ORIGINS")
if PUBLIC and not ALLOWED_HOSTS:
    env.complain("ALLOWED_HOSTS", "", f"host names, comma between, when ENVIRONMENT is {ENVIRONMENT}")
TRUSTED_PROXY_IPS = env.networks("TRUSTED_PROXY_IPS", () if PUBLIC else ("127.0.0.1", "::1"))
PORT = env.integer("PORT", 8000, minimum=1, maximum=65535)

# Trading
TRADING_MODE = env.choice("TRADING_MODE", "paper", ("dry_run", "paper", "alpaca_paper", "alpaca_live"))
if env.boolean("DRY_RUN", default=False):
    TRADING_MODE = "dry_run"
LIVE_TRADING_ACCOUNT = env.text("LIVE_TRADING_ACCOUNT")
if TRADING_MODE == "alpaca_live" and not LIVE_TRADING_ACCOUNT:
    env.complain("LIVE_TRADING_ACCOUNT", "", "the broker's account number when TRADING_MODE is alpaca_live")
ALPACA_API_KEY_ID = env.text("ALPACA_API_KEY_ID")
ALPACA_API_SECRET_KEY = env.text("ALPACA_API_SECRET_KEY")
ALPACA_BASE_URL = env.address("ALPACA_BASE_URL", ("http", "https"))
ALPACA_DATA_URL = env.address("ALPACA_DATA_URL", ("http", "https"))
ALPACA_STREAM_URL = env.address("ALPACA_STREAM_URL", ("ws", "wss"))
WEBHOOK_SECRET = env.text("WEBHOOK_SECRET")
MODEL_SIGNING_KEY = env.text("MODEL_SIGNING_KEY")
STRATEGY_ID = env.text("STRATEGY_ID", "momentum")
CAPITAL = env.decimal("CAPITAL", "100000", above="0", maximum="1000000000000")
MAX_POSITION_SIZE = env.integer("MAX_POSITION_SIZE", 1000, minimum=1, maximum=10**9)
DATA_FRESHNESS_MINUTES = env.integer("DATA_FRESHNESS_MINUTES", 30, minimum=1, maximum=100_000)
OUTLIER_THRESHOLD = env.decimal("OUTLIER_THRESHOLD", "0.30", above="0", maximum="100")
RECONCILIATION_INTERVAL_SECONDS = env.integer("RECONCILIATION_INTERVAL_SECONDS", 60, minimum=1, maximum=86_400)
PAPER_RUN_SYMBOLS = env.words("PAPER_RUN_SYMBOLS", ("AAPL", "FB", "GOOG", "IBM", "MSFT"))
PAPER_RUN_CAPITAL = env.decimal("PAPER_RUN_CAPITAL", str(CAPITAL), above="0", maximum="1000000000000")
PAPER_RUN_MAX_POSITION_SIZE = env.integer("PAPER_RUN_MAX_POSITION_SIZE", MAX_POSITION_SIZE, minimum=1, maximum=10**9)
LAKE_DIR = Path(env.text("LAKE_DIR", str(VAR_DIR / "lake")))
SECRETS_VALIDATION_MODE = env.choice("SECRETS_VALIDATION_MODE", "warn", ("strict", "warn"))
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.choice("LOG_FORMAT", "json" if PUBLIC else "console", ("json", "console"))
DATABASE_URL = env.address("DATABASE_URL", ("postgres", "postgresql"))
REDIS_URL = env.address("REDIS_URL", ("redis", "rediss", "unix"))

try:
    env.verify()
except ConfigurationError as error:
    sys.stderr.write(f"{error}\n")
    raise SystemExit(2) from None

# Servers: the configured ones, or real ones from wheels
EMBEDDED = EmbeddedServers(VAR_DIR, durable=ENVIRONMENT != "test")
if not env.boolean("PORTCULLIS_NO_SERVERS", default=False):
    DATABASE_URL = DATABASE_URL or EMBEDDED.database_url()
    REDIS_URL = REDIS_URL or EMBEDDED.redis_url()


def database_settings(url: str) -> dict[str, Any]:
    """Return Django's form of a PostgreSQL URL; query parameters go to libpq."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    # The order path's statements are planned once: planning them anew takes longer than running them.
    options: dict[str, Any] = {"options": "-c plan_cache_mode=force_generic_plan", "prepare_threshold": 2}
    host = query.pop("host", parts.hostname or "")
    # Pools only where many requests share a process; they do not survive the forks of the worker.
    if PROCESS_ROLE in ("web", "api"):
        options["pool"] = {"min_size": 1, "max_size": 5 if PROCESS_ROLE == "api" else 20, "timeout": 5}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 0 if "pool" in options else None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options | query,
    }


DATABASES = {"default": database_settings(DATABASE_URL or "postgresql:///portcullis")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The project
INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "django_filters",
    "csp",
    "django_htmx",
    "marketdata",
    "signals",
    "risk",
    "execution",
    "trading",
    "ops_console",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "ops_console.middleware.request_id",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "trading.urls"
WSGI_APPLICATION = "trading.wsgi.application"
ASGI_APPLICATION = "trading.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

# Static files: ours, and the chart library's standalone file from its wheel
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = not PUBLIC
STATICFILES_DIRS = [BASE_DIR / "static"]

# People and sessions; sessions live in the database, so that they outlive Redis
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
PASSWORD_HASHERS = (
    ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if ENVIRONMENT == "test"
    else ["django.contrib.auth.hashers.Argon2PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Headers
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = PUBLIC
SECURE_HSTS_SECONDS = 31_536_000 if PUBLIC else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PUBLIC
SECURE_HSTS_PRELOAD = PUBLIC
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PUBLIC else None
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "object-src": [NONE],
    },
}

# Work beside requests: the ORM broker redelivers what a killed worker had, and enqueues inside the caller's transaction
Q_CLUSTER = {
    "name": "portcullis",
    "orm": "default",
    "workers": 1,
    "timeout": 30,
    "retry": 120,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "queue_limit": 2,
    "bulk": 1,
    "poll": 0.2,
    "label": "tasks",
}

# News to browsers; a consumer blocks longer than redis-py's default time-out allows
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None, "max_connections": 100}]},
    },
}
# Counters of log-in attempts and the like; each process has its own, because Redis may be away
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}

LOGGING_CONFIG = None
logging_settings(level=LOG_LEVEL, form=LOG_FORMAT, role=PROCESS_ROLE)
