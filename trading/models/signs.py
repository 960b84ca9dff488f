"""Signs of life of the processes, and how far feeds have been carried."""

from django.db import models


class Heartbeat(models.Model):
    """The last sign of life of one process."""

    name = models.SlugField(max_length=64, unique=True)
    at = models.DateTimeField(help_text="Wall time.")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class FeedProgress(models.Model):
    """How far the stream has carried one feed's market time; each open and close up to there has been held."""

    feed_name = models.CharField(max_length=64, unique=True)
    processed_at = models.DateTimeField(help_text="Market time.")

    class Meta:
        verbose_name_plural = "feed progress"

    def __str__(self) -> str:
        return f"{self.feed_name} up to {self.processed_at:%Y-%m-%d %H:%M}"
