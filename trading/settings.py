"""Settings of the project, all read from the environment; the README names the variables.

A wrong value stops the start with one line that names the variable, what was read and what is allowed.
"""

import os
import sys
from contextlib import nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django_stubs_ext
from csp.constants import NONE, SELF

from execution.brokers.alpaca_modes import NETWORK_MODES, contradictions, is_key
from ops_console.api.openapi_settings import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from trading import embedded
from trading.environment import ConfigurationError, Reader
from trading.log_config import configure_structlog, logging_settings
from trading.secret_key import development_key

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = Reader(os.environ)

# What kind of installation, and where it keeps its files

ENVIRONMENT = env.choice("ENVIRONMENT", "dev", ("dev", "test", "staging", "production"))
PUBLIC = ENVIRONMENT in {"staging", "production"}  # other people reach it over a network
DEBUG = env.boolean("DEBUG", default=False)
VAR_DIR = env.path("VAR_DIR", BASE_DIR / "var")
LAKE_DIR = env.path("LAKE_DIR", VAR_DIR / "lake")
MODEL_DIR = env.path("MODEL_DIR", VAR_DIR / "models")  # the same files for every process that scores
BACKTEST_DIR = env.path("BACKTEST_DIR", VAR_DIR / "backtests")  # rows of backtests; whoever shows them reads them there
PORT = env.integer("PORT", 8000, minimum=1, maximum=65534)
CRASH_AT = env.text("CRASH_AT") if ENVIRONMENT == "test" else ""  # of tests: where this process is to be killed
PROCESS_ROLE = env.text("PROCESS_ROLE", "command")  # set by the supervisor: web, api, worker, clock, …
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.choice("LOG_FORMAT", "json" if PUBLIC else "console", ("json", "console"))

# Trading

TRADING_MODES = ("dry_run", "paper", "alpaca_paper", "alpaca_live")
TRADING_MODE = env.choice("TRADING_MODE", "paper", TRADING_MODES)
if env.boolean("DRY_RUN", default=False):
    TRADING_MODE = "dry_run"
BROKER_MODE = TRADING_MODE in NETWORK_MODES  # the market and the other book are somebody else's
DESK_FEED = TRADING_MODE if BROKER_MODE else "main"  # each market view has one clock for ever
LIVE_TRADING_ACCOUNT = env.text("LIVE_TRADING_ACCOUNT")
STRATEGY_ID = env.text("STRATEGY_ID")
CAPITAL = env.decimal("CAPITAL", "100000", above="0", maximum="1000000000")
MAX_POSITION_SIZE = env.integer("MAX_POSITION_SIZE", 1_000, minimum=1, maximum=10_000_000)  # shares
DATA_FRESHNESS_MINUTES = env.integer("DATA_FRESHNESS_MINUTES", 30, minimum=1, maximum=1_440)
# Share of a run's universe, in percent, that must have a fresh bar; with fewer the run stops (MD4).
MIN_FRESH_PCT = env.decimal("MIN_FRESH_PCT", "50", above="0", maximum="100")
FRESHNESS_MODE = env.choice("FRESHNESS_MODE", "per_symbol", ("latest", "oldest", "median", "per_symbol"))
TICK_RECORDING = env.boolean("TICK_RECORDING", default=True)  # received quotes and trades are kept as Parquet
TICK_RETENTION_DAYS = env.integer("TICK_RETENTION_DAYS", 30, minimum=1, maximum=3_650)
FEATURE_CACHE_HOURS = env.integer("FEATURE_CACHE_HOURS", 72, minimum=1, maximum=720)  # a long weekend
OUTLIER_THRESHOLD = env.decimal("OUTLIER_THRESHOLD", "0.30", above="0", maximum="10")  # share of the previous close
# People it takes to let another model trade: the second approves what the first asked for.
MODEL_APPROVALS = env.integer(
    "MODEL_APPROVALS", 2 if PUBLIC or TRADING_MODE == "alpaca_live" else 1, minimum=1, maximum=2
)
API_RATES = {"orders": env.integer("API_ORDERS_PER_MINUTE", 1_200, minimum=1, maximum=1_000_000_000)}
API_RATES["address"] = 10 * API_RATES["orders"]
OPEN_ORDERS_AT_STOP = env.choice("OPEN_ORDERS_AT_STOP", "keep", ("keep", "cancel"))  # of a clean stop of `up`
RELEASE_WAIT_SECONDS = env.integer("RELEASE_WAIT_SECONDS", 60, minimum=0, maximum=3_600)  # from asking to approving
DEAD_MAN_SECONDS = env.integer("DEAD_MAN_SECONDS", 30, minimum=5, maximum=3_600)  # silence of clock or dispatcher
RECONCILIATION_INTERVAL_SECONDS = env.integer("RECONCILIATION_INTERVAL_SECONDS", 60, minimum=5, maximum=86_400)
# Account currency by which cash may differ from the broker's and still count as equal.
RECONCILIATION_CASH_TOLERANCE = env.decimal("RECONCILIATION_CASH_TOLERANCE", "1", above="0", maximum="1000000")
JOBS_AT_ONCE = env.integer("JOBS_AT_ONCE", 1, minimum=1, maximum=64)  # long work: backtests, trainings, imports
# Where long work is computed. Whoever reaches a Dask scheduler runs code on it: trusted networks only (docs/scale.md).
ENGINE = env.choice("ENGINE", "here", ("here", "processes", "dask"))
ENGINE_SCHEDULER = env.address("ENGINE_SCHEDULER", ("tcp", "tls"))
ENGINE_PROCESSES = env.integer("ENGINE_PROCESSES", 0, minimum=0, maximum=256)  # 0: one a core
ENGINE_TLS_CA, ENGINE_TLS_CERT, ENGINE_TLS_KEY = (env.text(f"ENGINE_TLS_{name}") for name in ("CA", "CERT", "KEY"))
REPLAY_SPEED = env.integer("REPLAY_SPEED", 390, minimum=1, maximum=100_000)  # market seconds in a wall second
PAPER_RUN_SYMBOLS = env.words("PAPER_RUN_SYMBOLS", ("AAPL", "FB", "GOOG", "IBM", "MSFT"))
PAPER_RUN_CAPITAL = env.decimal("PAPER_RUN_CAPITAL", str(CAPITAL), above="0", maximum="1000000000")
PAPER_RUN_MAX_POSITION_SIZE = env.integer(
    "PAPER_RUN_MAX_POSITION_SIZE", MAX_POSITION_SIZE, minimum=1, maximum=10_000_000
)

ALPACA_API_KEY_ID = env.text("ALPACA_API_KEY_ID")
ALPACA_API_SECRET_KEY = env.text("ALPACA_API_SECRET_KEY")
ALPACA_BASE_URL = env.address("ALPACA_BASE_URL", ("https", "http"))
ALPACA_DATA_URL = env.address("ALPACA_DATA_URL", ("https", "http"))
ALPACA_STREAM_URL = env.address("ALPACA_STREAM_URL", ("wss", "ws"))
ALPACA_CONNECT_TIMEOUT_MILLISECONDS = env.integer(
    "ALPACA_CONNECT_TIMEOUT_MILLISECONDS", 3_050, minimum=100, maximum=60_000
)
ALPACA_READ_TIMEOUT_MILLISECONDS = env.integer("ALPACA_READ_TIMEOUT_MILLISECONDS", 10_000, minimum=100, maximum=60_000)
ALPACA_DATA_STREAM_URL = env.address("ALPACA_DATA_STREAM_URL", ("wss", "ws"))  # beside ALPACA_DATA_URL when not given
ALPACA_DATA_FEED = env.choice("ALPACA_DATA_FEED", "iex", ("iex", "sip"))

if BROKER_MODE and not (ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY):
    env.complain("ALPACA_API_KEY_ID, ALPACA_API_SECRET_KEY", "", f"both set when TRADING_MODE is {TRADING_MODE}")
if TRADING_MODE == "alpaca_live" and not LIVE_TRADING_ACCOUNT:
    env.complain("LIVE_TRADING_ACCOUNT", "", "the account number at the broker when TRADING_MODE is alpaca_live")
if TRADING_MODE == "alpaca_live" and LIVE_TRADING_ACCOUNT.startswith("PA"):
    allowed = "a live account's number when TRADING_MODE is alpaca_live; PA… is a paper account"
    env.complain("LIVE_TRADING_ACCOUNT", LIVE_TRADING_ACCOUNT, allowed)
for name, value in (("ALPACA_API_KEY_ID", ALPACA_API_KEY_ID), ("ALPACA_API_SECRET_KEY", ALPACA_API_SECRET_KEY)):
    if not is_key(value):
        env.complain(name, value, "one line of letters and digits", secret=True)
if BROKER_MODE and ALPACA_API_KEY_ID:
    for name, value, allowed in contradictions(TRADING_MODE, ALPACA_API_KEY_ID, ALPACA_BASE_URL, ALPACA_STREAM_URL):
        env.complain(name, value, allowed, secret=True)

# Secrets: an installation that others reach must bring its own, unless it chooses to be warned only

SECRETS_VALIDATION_MODE = env.choice("SECRETS_VALIDATION_MODE", "strict" if PUBLIC else "warn", ("strict", "warn"))
STRICT_SECRETS = SECRETS_VALIDATION_MODE == "strict"
SECRET_KEY = env.secret("SECRET_KEY", required=PUBLIC, minimum=50 if PUBLIC else 1)
WEBHOOK_SECRET = env.secret("WEBHOOK_SECRET", required=PUBLIC or STRICT_SECRETS)
MODEL_SIGNING_KEY = env.secret("MODEL_SIGNING_KEY", required=STRICT_SECRETS)
INTERNAL_TOKEN_SECRETS = env.secrets_after("INTERNAL_TOKEN_SECRET_")

# Who may ask

LOOPBACK = ("127.0.0.1", "::1")
ALLOWED_HOSTS = list(env.words("ALLOWED_HOSTS", () if PUBLIC else ("localhost", "127.0.0.1", "[::1]", "testserver")))
ALLOWED_ORIGINS = env.origins("ALLOWED_ORIGINS")
TRUSTED_PROXY_IPS = env.networks("TRUSTED_PROXY_IPS", () if PUBLIC else LOOPBACK)
CSRF_TRUSTED_ORIGINS = list(ALLOWED_ORIGINS)
if PUBLIC and not ALLOWED_HOSTS:
    env.complain("ALLOWED_HOSTS", "", "the host names of this installation between commas")
if PUBLIC and not TRUSTED_PROXY_IPS:
    env.complain("TRUSTED_PROXY_IPS", "", "the addresses of the proxies in front, or 127.0.0.1")
if PUBLIC and DEBUG:
    env.complain("DEBUG", "true", f"false when ENVIRONMENT is {ENVIRONMENT}")

# Servers: those of the environment, else embedded ones in VAR_DIR

given_database = env.database("DATABASE_URL")
REDIS_URL = env.address("REDIS_URL", ("redis", "rediss", "unix"))

try:
    env.verify()
except ConfigurationError as error:
    sys.stderr.write(f"{error}\n")
    raise SystemExit(2) from None

VAR_DIR.mkdir(parents=True, exist_ok=True)
SECRET_KEY = SECRET_KEY or development_key(VAR_DIR)
if not PUBLIC:  # elsewhere without a key of its own nothing is signed, and so nothing trades
    MODEL_SIGNING_KEY = MODEL_SIGNING_KEY or development_key(VAR_DIR, "model_signing_key")
layout = embedded.layout_of(VAR_DIR)
for_operators = embedded.for_operators(sys.argv)
if embedded.needed(sys.argv):
    with suppress(embedded.EmbeddedServerError) if for_operators else nullcontext():
        # A PostgreSQL that runs but hangs must not keep an operator waiting here: the command itself gives up sooner.
        runs = for_operators and embedded.postmaster(layout) is not None
        embedded.use_servers(
            layout, postgres=not given_database and not runs, redis=not REDIS_URL and not for_operators
        )
REDIS_URL = REDIS_URL or layout.redis_url
REDIS_PREFIX = "portcullis"

# Database. Only the threads of `web` share a pool: an API worker answers one request at a time on the connection it
# keeps, and the others fork or have one loop. The statements of the order path are prepared; a generic plan spares
# planning them anew, which takes longer than running them.

POOLED = PROCESS_ROLE == "web"
# That plan may be made while the tables are still small: a sequential scan chosen then would stay.
options: dict[str, Any] = {"options": "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off"}
# A request answers 503 rather than wait for a lock whose holder hangs; a worker of the API has others behind it.
LOCK_PATIENCE = {"web": "2s", "api": "700ms"}
if PROCESS_ROLE in LOCK_PATIENCE:
    options["options"] += f" -c lock_timeout={LOCK_PATIENCE[PROCESS_ROLE]}"
if POOLED:
    options["pool"] = {"min_size": 1, "max_size": 20, "timeout": 2}
embedded_database = {
    "NAME": embedded.DATABASE,
    "USER": "postgres",
    "HOST": str(layout.postgres_socket_dir),
    "PORT": str(embedded.POSTGRES_PORT),
}
DATABASES: dict[str, dict[str, Any]] = {
    "default": (given_database or embedded_database)
    | {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": given_database.get("OPTIONS", {}) | options,
        "CONN_MAX_AGE": 0 if POOLED else 600,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Applications

# Emergencies wait for every import: the admin's classes are loaded where its pages are served, and daphne, which is an
# app for the sake of `runserver`, where that runs.
ADMIN_IS_SERVED = PROCESS_ROLE in {"web", "command"} and not for_operators
INSTALLED_APPS = [
    *(["daphne"] if "runserver" in sys.argv else []),
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
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
    "ops_console.middleware.request_id",
    "ops_console.middleware.emergency_connection",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "trading.urls"
if PROCESS_ROLE == "api":  # programs bring tokens: no pages, no sessions, nothing static
    ROOT_URLCONF = "trading.api_urls"
    MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "ops_console.middleware.request_id"]
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
                "ops_console.context.frame",
            ]
        },
    }
]

# People: sessions live in the database, because Redis may go away

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if ENVIRONMENT == "test":  # slow on purpose elsewhere
    PASSWORD_HASHERS.insert(0, "django.contrib.auth.hashers.MD5PasswordHasher")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# Headers

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = PUBLIC
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]  # asked from inside, without TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PUBLIC else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PUBLIC
SECURE_HSTS_PRELOAD = PUBLIC
SESSION_COOKIE_SECURE = PUBLIC
CSRF_COOKIE_SECURE = PUBLIC
if PUBLIC:  # TLS ends at the proxy in front
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
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
    }
}

# Static files: found where they are in development, collected and hashed elsewhere

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = not PUBLIC
STATICFILES_DIRS: list[Any] = [BASE_DIR / "static"]
charts = find_spec("lwcharts")
if charts is not None and charts.origin is not None:  # vendor/lightweight-charts.standalone.production.js
    STATICFILES_DIRS.append(("vendor", str(Path(charts.origin).parent / "vendor")))
HASHED_FILES = "whitenoise.storage.CompressedManifestStaticFilesStorage"
PLAIN_FILES = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": HASHED_FILES if PUBLIC else PLAIN_FILES},
}

# Live news: one subscription a process, fanned out inside it. redis-py's default socket timeout would end idle
# consumers.

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_timeout": None, "max_connections": 1_000}],
            "prefix": REDIS_PREFIX,
        },
    }
}
NEWS_PAUSE_MILLISECONDS = 20 if PROCESS_ROLE == "api" else 0  # between two news of orders

# Background work lives in PostgreSQL: a killed worker's task comes back, and a task is stored in the transaction that
# asks for it. At most three attempts, and never a storm of missed schedules.

Q_CLUSTER: dict[str, Any] = {
    "name": "portcullis",
    "orm": "default",
    "workers": 2,
    "timeout": 30,
    "retry": 120,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "queue_limit": 2,
    "bulk": 1,
    "poll": 0.5,
    "save_limit": 1_000,
    "broker_class": "trading.work_queue.AllowListedQueue",
    "scheduler": False,  # the clock knows what is due; a row of its table could run any callable
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "tries": {"BACKEND": "ops_console.tries.CountedTries"},  # exact over all processes, and not in Redis
}
RATELIMIT_USE_CACHE = "tries"

# REST API: each view names its authentication; the OpenAPI settings are in ops_console/api/openapi_settings.py

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
TOKEN_MEMORY_MILLISECONDS = 500 if PROCESS_ROLE == "api" else 0  # a revoked token is refused within a second

# Time, language, logs

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en-us"
LOGGING = logging_settings(level=LOG_LEVEL, log_format=LOG_FORMAT)
configure_structlog()
