"""Trained models: what each was made from, where it stands, and who moved it."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length

from signals.states import ApprovalState, ModelAct, ModelStatus, allowed_model_step

models.TextField.register_lookup(Length)

SHORTEST_REASON, LONGEST_REASON = 10, 500
REASON_LENGTH = Q(reason__length__gte=SHORTEST_REASON) & Q(reason__length__lte=LONGEST_REASON)
HEX_64 = r"^[0-9a-f]{64}$"


class ModelVersion(models.Model):
    """One trained model. The file is named by strategy, number and digest; everything else of it is here.

    What was trained never changes; only `status` moves, together with a `ModelEvent`.
    """

    strategy = models.SlugField(max_length=64, db_index=False)
    number = models.PositiveIntegerField(help_text="1, 2, … within the strategy")
    status = models.CharField(max_length=10, choices=ModelStatus.choices, default=ModelStatus.CANDIDATE)
    sha256 = models.CharField(max_length=64, help_text="of the file's bytes")
    size_bytes = models.PositiveBigIntegerField()
    signature = models.CharField(
        max_length=64, blank=True, default="", help_text="HMAC-SHA256 over the file's bytes and what is said of them"
    )
    identity = models.CharField(max_length=64, help_text="SHA-256 over data, code, parameters and seed")
    features = models.JSONField(help_text="names in the order in which the model wants them")
    feature_version = models.CharField(max_length=12, help_text="over the text of the features' definitions")
    code_version = models.CharField(max_length=12, help_text="over the text of the training's files")
    data_hash = models.CharField(max_length=64, help_text="SHA-256 over the rows that went in")
    symbols = models.JSONField(help_text="sorted")
    first_date = models.DateField(help_text="first session of the data")
    last_date = models.DateField(help_text="last session of the data; no label knows a later close")
    splits = models.JSONField(help_text="first and last date and rows of train, valid and test")
    parameters = models.JSONField()
    seed = models.PositiveBigIntegerField()
    rounds = models.PositiveIntegerField(help_text="trees kept by the early stopping")
    metrics = models.JSONField()
    importance = models.JSONField(help_text="of each feature: gain and number of splits")
    golden = models.JSONField(help_text="rows and what the model answered in training; asked again after each load")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("strategy", "-number")
        constraints = (
            models.UniqueConstraint(name="modelversion_number_unique", fields=["strategy", "number"]),
            models.UniqueConstraint(name="modelversion_identity_unique", fields=["strategy", "identity"]),
            models.UniqueConstraint(
                name="modelversion_one_active", fields=["strategy"], condition=Q(status=ModelStatus.ACTIVE)
            ),
            models.CheckConstraint(name="modelversion_status_known", condition=Q(status__in=ModelStatus.values)),
            models.CheckConstraint(name="modelversion_digest_form", condition=Q(sha256__regex=HEX_64)),
            models.CheckConstraint(
                name="modelversion_signed_in_use",
                condition=~Q(status__in=[ModelStatus.SHADOW, ModelStatus.ACTIVE]) | Q(signature__regex=HEX_64),
            ),
            models.CheckConstraint(name="modelversion_dates_ordered", condition=Q(last_date__gte=F("first_date"))),
            models.CheckConstraint(name="modelversion_has_bytes", condition=Q(size_bytes__gt=0)),
            models.CheckConstraint(name="modelversion_maker_named", condition=~Q(created_by="")),
        )

    def __str__(self) -> str:
        return f"{self.strategy} {self.number}"


class ModelEvent(models.Model):
    """One step of a version's life, append-only."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="events")
    act = models.CharField(max_length=12, choices=ModelAct.choices)
    from_status = models.CharField(max_length=10, blank=True, default="")
    to_status = models.CharField(max_length=10, choices=ModelStatus.choices)
    operator = models.CharField(max_length=150)
    second_operator = models.CharField(max_length=150, blank=True, default="", help_text="who approved")
    reason = models.TextField()
    at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="modelevent_transition_allowed", condition=allowed_model_step()),
            models.CheckConstraint(name="modelevent_act_known", condition=Q(act__in=ModelAct.values)),
            models.CheckConstraint(name="modelevent_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(name="modelevent_operator_named", condition=~Q(operator="")),
            models.CheckConstraint(name="modelevent_two_people", condition=~Q(second_operator=F("operator"))),
        )

    def __str__(self) -> str:
        return f"{self.version_id}: {self.from_status or 'new'} > {self.to_status}"


class ModelApproval(models.Model):
    """A request to activate a version, which another person has to approve before its time is over."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="approvals")
    state = models.CharField(max_length=10, choices=ApprovalState.choices, default=ApprovalState.PENDING)
    requested_by = models.CharField(max_length=150)
    reason = models.TextField()
    requested_at = models.DateTimeField(help_text="wall time")
    expires_at = models.DateTimeField(help_text="wall time from which it can be approved no more")
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True, help_text="wall time")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="modelapproval_state_known", condition=Q(state__in=ApprovalState.values)),
            models.CheckConstraint(name="modelapproval_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(name="modelapproval_requester_named", condition=~Q(requested_by="")),
            models.CheckConstraint(
                name="modelapproval_needs_two",
                condition=~Q(state=ApprovalState.APPROVED)
                | (~Q(decided_by="") & ~Q(decided_by=F("requested_by")) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(name="modelapproval_time_ordered", condition=Q(expires_at__gt=F("requested_at"))),
        )

    def __str__(self) -> str:
        return f"activate {self.version_id}: {self.state}"
