"""The kill switch: every turn of it, and the wishes to release it."""

from django.db import models
from django.db.models import F, Q

from risk.models.reasons import REASON_LENGTH
from risk.states import ReleaseState, SwitchLevel

GLOBAL_SCOPE = "global"


class KillSwitchEvent(models.Model):
    """One turn of the kill switch, append-only; none for `global` means engaged.

    A scope is engaged while an engage is newer than what its releases name: one that a release has not seen outlives
    it, whichever of the two commits first. Of the engages in force the strongest level counts.
    """

    class Source(models.TextChoices):
        CONSOLE = "console", "console"
        ADMIN = "admin", "admin"
        API = "api", "API"
        COMMAND = "command", "command line"
        SYSTEM = "system", "the system"
        INSTALLATION = "installation", "first installation"

    scope = models.CharField(max_length=80, help_text="global, strategy:NAME, symbol:NAME or account:NAME")
    engaged = models.BooleanField(help_text="whether it stops anything")
    level = models.CharField(
        max_length=10,
        choices=SwitchLevel.choices,
        default=SwitchLevel.HALTED,
        db_default=SwitchLevel.HALTED,
        help_text="of an engaged switch: what it stops",
    )
    operator = models.CharField(max_length=150)
    second_operator = models.CharField(max_length=150, blank=True, default="")
    reason = models.TextField()
    source = models.CharField(max_length=12, choices=Source.choices)
    at = models.DateTimeField(help_text="wall time")
    releases = models.BigIntegerField(
        null=True, blank=True, help_text="of a release: the last engage it takes back; those after it stay in force"
    )

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="killswitch_newest", fields=["scope", "-id"]),)
        constraints = (
            models.CheckConstraint(name="killswitch_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(name="killswitch_operator_named", condition=~Q(operator="")),
            models.CheckConstraint(
                name="killswitch_scope_form",
                condition=Q(scope="global")
                | Q(scope__startswith="strategy:")
                | Q(scope__startswith="symbol:")
                | Q(scope__startswith="account:"),
            ),
            models.CheckConstraint(
                name="killswitch_level_known",
                condition=Q(engaged=False)
                | Q(level__in=[SwitchLevel.REDUCING, SwitchLevel.HALTED, SwitchLevel.FLATTENING]),
            ),
            models.CheckConstraint(
                name="killswitch_only_releases_release", condition=Q(engaged=False) | Q(releases__isnull=True)
            ),
            models.CheckConstraint(
                name="killswitch_release_needs_two",
                condition=Q(engaged=True)
                | Q(source="installation")
                | (~Q(second_operator="") & ~Q(second_operator=F("operator"))),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.level if self.engaged else 'released'} by {self.operator}"


class ReleaseRequest(models.Model):
    """One operator's wish to release the kill switch, waiting for another operator."""

    scope = models.CharField(max_length=80)
    requested_by = models.CharField(max_length=150)
    reason = models.TextField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    event_id = models.BigIntegerField(default=0, help_text="the last engage it would release; 0 when none is stored")
    to_level = models.CharField(
        max_length=10, choices=SwitchLevel.choices, default=SwitchLevel.ACTIVE, help_text="what is to be in force then"
    )
    state = models.CharField(max_length=8, choices=ReleaseState.choices, default=ReleaseState.PENDING)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="releaserequest_one_pending", fields=["scope"], condition=Q(state="pending")),
            models.CheckConstraint(name="releaserequest_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(
                name="releaserequest_goes_down",
                condition=Q(to_level__in=[SwitchLevel.ACTIVE, SwitchLevel.REDUCING, SwitchLevel.HALTED]),
            ),
            models.CheckConstraint(name="releaserequest_state_known", condition=Q(state__in=ReleaseState.values)),
            models.CheckConstraint(
                name="releaserequest_other_person",
                condition=~Q(state="approved") | (~Q(decided_by="") & ~Q(decided_by=F("requested_by"))),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} asked by {self.requested_by}: {self.state}"
