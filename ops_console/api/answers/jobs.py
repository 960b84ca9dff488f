"""Long work: where it stands and what came of it."""

from datetime import datetime

from rest_framework import serializers

from ops_console.api.answers.backtests import exact
from ops_console.api.answers.parts import Answer, Instant, Shape, names_of, page_of
from trading.job_kinds import KINDS
from trading.models import Job
from trading.states import JobState


class JobSerializer(Shape):
    """One piece of work, from the wish to its end."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    title = serializers.CharField(help_text="The kind in words.")
    state = serializers.ChoiceField(choices=JobState.choices)
    done = serializers.IntegerField(min_value=0)
    total = serializers.IntegerField(min_value=0, help_text="0 while it is not known.")
    percent = serializers.IntegerField(min_value=0, max_value=100, allow_null=True)
    what = serializers.CharField(allow_blank=True, help_text="What is being done.")
    seconds_left = serializers.IntegerField(min_value=0, allow_null=True, help_text="A guess from the pace so far.")
    told_at = Instant(allow_null=True, help_text="When progress was told last; wall time.")
    asked_by = serializers.CharField()
    asked_at = Instant(help_text="Wall time.")
    cancel_asked_by = serializers.CharField(allow_blank=True)
    cancel_asked_at = Instant(allow_null=True, help_text="Wall time.")
    attempts = serializers.IntegerField(min_value=0)
    started_at = Instant(allow_null=True, help_text="Of the newest attempt; wall time.")
    finished_at = Instant(allow_null=True, help_text="Wall time.")
    error = serializers.CharField(allow_blank=True, help_text="Why it failed.")


class JobDetailSerializer(JobSerializer):
    """A job with its parameters, its result and the end of its log."""

    parameters = serializers.DictField()
    result = serializers.DictField(allow_null=True, help_text="Null unless it is completed.")
    log = serializers.CharField(allow_blank=True, help_text="The end of what its process wrote.")


JobPageSerializer = page_of(JobSerializer, "JobPageSerializer")


def title_of(job: Job) -> str:
    """Return the kind in words; a kind that is gone since then has only its name."""
    return KINDS[job.kind].title if job.kind in KINDS else job.kind


def job_answer(job: Job, wall_now: datetime) -> Answer:
    """Return one job."""
    found = {"title": title_of(job), "seconds_left": job.seconds_left(wall_now)}
    return {name: found[name] if name in found else getattr(job, name) for name in names_of(JobSerializer)}


def job_detail_answer(job: Job, wall_now: datetime) -> Answer:
    """Return one job with everything about it."""
    return {
        **job_answer(job, wall_now),
        "parameters": exact(job.parameters),
        "result": exact(job.result),
        "log": job.log,
    }
