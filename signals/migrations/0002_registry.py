"""Trained models, their steps and the requests for one; the database keeps one active and what was trained as it was."""

import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

# Only where a version stands may change, and its signature when the key does.
CREATE_FROZEN = """
CREATE OR REPLACE FUNCTION portcullis_model_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(NEW) - ARRAY['status', 'signature']) IS DISTINCT FROM (to_jsonb(OLD) - ARRAY['status', 'signature']) THEN
        RAISE EXCEPTION '%: only status and signature of a model change', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signals_modelversion_frozen BEFORE UPDATE ON signals_modelversion
    FOR EACH ROW EXECUTE FUNCTION portcullis_model_frozen();
"""
DROP_FROZEN = """
DROP TRIGGER signals_modelversion_frozen ON signals_modelversion;
DROP FUNCTION portcullis_model_frozen();
"""
CREATE_APPEND_ONLY = (
    "CREATE TRIGGER signals_modelevent_append_only BEFORE UPDATE OR DELETE ON signals_modelevent "
    "FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()"
)
DROP_APPEND_ONLY = "DROP TRIGGER signals_modelevent_append_only ON signals_modelevent"


class Migration(migrations.Migration):
    dependencies = [("signals", "0001_initial"), ("risk", "0002_append_only")]

    operations = [
        migrations.CreateModel(
            name="ModelVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("strategy", models.SlugField(db_index=False, max_length=64)),
                ("number", models.PositiveIntegerField(help_text="1, 2, … within the strategy")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("candidate", "candidate"),
                            ("shadow", "shadow (scores, does not trade)"),
                            ("active", "active"),
                            ("retired", "retired"),
                        ],
                        default="candidate",
                        max_length=10,
                    ),
                ),
                ("sha256", models.CharField(help_text="of the file's bytes", max_length=64)),
                ("size_bytes", models.PositiveBigIntegerField()),
                (
                    "signature",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="HMAC-SHA256 over the file's bytes and what is said of them",
                        max_length=64,
                    ),
                ),
                ("identity", models.CharField(help_text="SHA-256 over data, code, parameters and seed", max_length=64)),
                ("features", models.JSONField(help_text="names in the order in which the model wants them")),
                (
                    "feature_version",
                    models.CharField(help_text="over the text of the features' definitions", max_length=12),
                ),
                ("code_version", models.CharField(help_text="over the text of the training's files", max_length=12)),
                ("data_hash", models.CharField(help_text="SHA-256 over the rows that went in", max_length=64)),
                ("symbols", models.JSONField(help_text="sorted")),
                ("first_date", models.DateField(help_text="first session of the data")),
                ("last_date", models.DateField(help_text="last session of the data; no label knows a later close")),
                ("splits", models.JSONField(help_text="first and last date and rows of train, valid and test")),
                ("parameters", models.JSONField()),
                ("seed", models.PositiveBigIntegerField()),
                ("rounds", models.PositiveIntegerField(help_text="trees kept by the early stopping")),
                ("metrics", models.JSONField()),
                ("importance", models.JSONField(help_text="of each feature: gain and number of splits")),
                (
                    "golden",
                    models.JSONField(
                        help_text="rows and what the model answered in training; asked again after each load"
                    ),
                ),
                ("created_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField(help_text="wall time")),
            ],
            options={
                "ordering": ("strategy", "-number"),
                "constraints": [
                    models.UniqueConstraint(fields=("strategy", "number"), name="modelversion_number_unique"),
                    models.UniqueConstraint(fields=("strategy", "identity"), name="modelversion_identity_unique"),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "active")), fields=("strategy",), name="modelversion_one_active"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["candidate", "shadow", "active", "retired"])),
                        name="modelversion_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="modelversion_digest_form"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ["shadow", "active"]), _negated=True),
                            ("signature__regex", "^[0-9a-f]{64}$"),
                            _connector="OR",
                        ),
                        name="modelversion_signed_in_use",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("last_date__gte", models.F("first_date"))),
                        name="modelversion_dates_ordered",
                    ),
                    models.CheckConstraint(condition=models.Q(("size_bytes__gt", 0)), name="modelversion_has_bytes"),
                    models.CheckConstraint(
                        condition=models.Q(("created_by", ""), _negated=True), name="modelversion_maker_named"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ModelEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "act",
                    models.CharField(
                        choices=[
                            ("registered", "registered"),
                            ("shadowed", "set to score in the shadow"),
                            ("activated", "activated"),
                            ("superseded", "succeeded by another version"),
                            ("rolled_back", "rolled back"),
                            ("restored", "active again after a roll-back"),
                            ("retired", "retired"),
                        ],
                        max_length=12,
                    ),
                ),
                ("from_status", models.CharField(blank=True, default="", max_length=10)),
                (
                    "to_status",
                    models.CharField(
                        choices=[
                            ("candidate", "candidate"),
                            ("shadow", "shadow (scores, does not trade)"),
                            ("active", "active"),
                            ("retired", "retired"),
                        ],
                        max_length=10,
                    ),
                ),
                ("operator", models.CharField(max_length=150)),
                ("second_operator", models.CharField(blank=True, default="", help_text="who approved", max_length=150)),
                ("reason", models.TextField()),
                ("at", models.DateTimeField(help_text="wall time")),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="events", to="signals.modelversion"
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Regex(
                            django.db.models.functions.text.Concat(
                                models.F("from_status"), models.Value(">"), models.F("to_status")
                            ),
                            "^(>(candidate)|candidate>(active|retired|shadow)|shadow>(active|retired)|active>(retired)|retired>(active|shadow))$",
                        ),
                        name="modelevent_transition_allowed",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "act__in",
                                [
                                    "registered",
                                    "shadowed",
                                    "activated",
                                    "superseded",
                                    "rolled_back",
                                    "restored",
                                    "retired",
                                ],
                            )
                        ),
                        name="modelevent_act_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason__length__gte", 10), ("reason__length__lte", 500)),
                        name="modelevent_reason_length",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("operator", ""), _negated=True), name="modelevent_operator_named"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("second_operator", models.F("operator")), _negated=True),
                        name="modelevent_two_people",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ModelApproval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "waiting for another person"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("requested_by", models.CharField(max_length=150)),
                ("reason", models.TextField()),
                ("requested_at", models.DateTimeField(help_text="wall time")),
                ("expires_at", models.DateTimeField(help_text="wall time from which it can be approved no more")),
                ("decided_by", models.CharField(blank=True, default="", max_length=150)),
                ("decided_at", models.DateTimeField(blank=True, help_text="wall time", null=True)),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="approvals", to="signals.modelversion"
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["pending", "approved", "rejected"])),
                        name="modelapproval_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason__length__gte", 10), ("reason__length__lte", 500)),
                        name="modelapproval_reason_length",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("requested_by", ""), _negated=True), name="modelapproval_requester_named"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "approved"), _negated=True),
                            models.Q(
                                models.Q(("decided_by", ""), _negated=True),
                                models.Q(("decided_by", models.F("requested_by")), _negated=True),
                                ("decided_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="modelapproval_needs_two",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("requested_at"))),
                        name="modelapproval_time_ordered",
                    ),
                ],
            },
        ),
        migrations.RunSQL(CREATE_APPEND_ONLY, DROP_APPEND_ONLY),
        migrations.RunSQL(CREATE_FROZEN, DROP_FROZEN),
    ]
