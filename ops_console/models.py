"""What the console itself remembers: keys of programs, signatures that were used, tries to log in, saved queries."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length

from execution.models import Strategy
from ops_console.scopes import Scope

models.CharField.register_lookup(Length)
models.TextField.register_lookup(Length)

DIGEST_LENGTH = 64


class ApiToken(models.Model):
    """A key of one program. Only the digest of its secret is kept, so a copy of this table opens nothing.

    Everything is wall time. A revoked token stays as history.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens")
    name = models.CharField(max_length=80, help_text="what uses it, e.g. nightly-report")
    token_id = models.CharField(max_length=16, help_text="public part of the key")
    digest = models.CharField(max_length=DIGEST_LENGTH, help_text="SHA-256 of the secret part, hexadecimal")
    scope = models.CharField(max_length=8, choices=Scope.choices)
    strategy = models.ForeignKey(
        Strategy,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="where orders go that cannot name a strategy (Alpaca-compatible API); manual when empty",
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="to the minute")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name = "API token"
        constraints = (
            models.UniqueConstraint(name="apitoken_token_id_unique", fields=["token_id"]),
            models.CheckConstraint(name="apitoken_scope_known", condition=Q(scope__in=Scope.values)),
            models.CheckConstraint(name="apitoken_digest_is_sha256", condition=Q(digest__length=DIGEST_LENGTH)),
            models.CheckConstraint(name="apitoken_name_given", condition=~Q(name="")),
            models.CheckConstraint(name="apitoken_expires_later", condition=Q(expires_at__gt=F("created_at"))),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.token_id}, {self.scope})"


class SeenSignature(models.Model):
    """A signature under which something was accepted, once. Rows go when they are too old to be accepted anyway."""

    digest = models.CharField(max_length=DIGEST_LENGTH, help_text="the signature itself, hexadecimal")
    at = models.DateTimeField(help_text="wall time it was accepted")

    class Meta:
        constraints = (models.UniqueConstraint(name="seensignature_once", fields=["digest"]),)
        indexes = (models.Index(name="seensignature_by_time", fields=["at"]),)

    def __str__(self) -> str:
        return f"{self.digest[:8]}… at {self.at:%Y-%m-%d %H:%M:%S}"


class LoginTries(models.Model):
    """How often a log-in was tried by one name or from one address; the key is a digest of which, and of the window."""

    key = models.CharField(primary_key=True, max_length=100, help_text="digest of name or address and window")
    count = models.PositiveIntegerField()
    ends_at = models.DateTimeField(help_text="wall time from which it does not count any more")

    class Meta:
        verbose_name_plural = "login tries"
        indexes = (models.Index(name="logintries_by_end", fields=["ends_at"]),)

    def __str__(self) -> str:
        return f"{self.count} until {self.ends_at:%Y-%m-%d %H:%M:%S}"


LONGEST_SAVED_QUERY = 20_000


class SavedQuery(models.Model):
    """A query that somebody keeps under a name. Everybody who may read may run it; only its owner changes it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_queries")
    name = models.CharField(max_length=80)
    text = models.TextField(max_length=LONGEST_SAVED_QUERY)
    created_at = models.DateTimeField(help_text="wall time")
    updated_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("name", "owner")
        verbose_name_plural = "saved queries"
        constraints = (
            models.UniqueConstraint(name="savedquery_name_unique", fields=["owner", "name"]),
            models.CheckConstraint(name="savedquery_name_given", condition=~Q(name="")),
            models.CheckConstraint(name="savedquery_text_given", condition=~Q(text="")),
            models.CheckConstraint(name="savedquery_text_bounded", condition=Q(text__length__lte=LONGEST_SAVED_QUERY)),
        )

    def __str__(self) -> str:
        return f"{self.name} of {self.owner_id}"
