"""Which version of the code may trade."""

from django.db import models
from django.db.models import Q


class Release(models.Model):
    """One announcement of the version that trades from then on, append-only; the newest counts."""

    version = models.CharField(max_length=12, help_text="digest of the sources, see risk.release")
    operator = models.CharField(max_length=150, help_text="who started it")
    at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        constraints = (models.CheckConstraint(name="release_version_named", condition=~Q(version="")),)

    def __str__(self) -> str:
        return f"{self.version} since {self.at:%Y-%m-%d %H:%M}"
