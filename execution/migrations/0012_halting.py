"""What became of a halt: cancels, verification at the broker, flattening, residue."""

import django.db.models.deletion
import execution.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("execution", "0011_reconciliation"), ("risk", "0003_alerts_and_levels"))
    operations = (
        migrations.CreateModel(
            name="HaltProcedure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scope", models.CharField(max_length=80)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("active", "active (trading)"),
                            ("reducing", "reduce only"),
                            ("halted", "halted"),
                            ("flattening", "halted, closing positions"),
                        ],
                        help_text="of the switch; active when none was engaged for it",
                        max_length=10,
                    ),
                ),
                (
                    "event_id",
                    models.BigIntegerField(default=0, help_text="the engage it carries out; 0 when there is none"),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("canceling", "canceling open orders"),
                            ("closing", "closing positions"),
                            ("residue", "something is left"),
                            ("verified", "verified at the broker"),
                            ("accepted", "over, with what is left accepted by name"),
                            ("superseded", "replaced by a later one or released"),
                        ],
                        default="canceling",
                        max_length=10,
                    ),
                ),
                (
                    "flatten",
                    models.BooleanField(default=False, help_text="whether positions are closed after the cancels"),
                ),
                (
                    "everything",
                    models.BooleanField(
                        default=False, help_text="whether orders that are not ours are canceled as well"
                    ),
                ),
                (
                    "at_open",
                    models.BooleanField(
                        default=False, help_text="whether closing orders may wait for the next opening auction"
                    ),
                ),
                (
                    "empties",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="looks at the broker in a row that found nothing"
                    ),
                ),
                (
                    "top_order_id",
                    models.BigIntegerField(
                        blank=True, help_text="without a switch: orders stored later are left alone", null=True
                    ),
                ),
                ("operator", models.CharField(max_length=150)),
                ("reason", models.TextField()),
                (
                    "problem",
                    models.CharField(blank=True, default="", help_text="what keeps it from going on", max_length=300),
                ),
                ("asked_at", models.DateTimeField(help_text="wall time")),
                ("next_at", models.DateTimeField(help_text="wall time of the next step")),
                ("stepped_at", models.DateTimeField(blank=True, help_text="wall time of the last step", null=True)),
                ("finished_at", models.DateTimeField(blank=True, help_text="wall time", null=True)),
                ("version", models.PositiveIntegerField(default=0)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="halts", to="execution.account"
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="HaltResidue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("order", "order"), ("position", "position")], max_length=8)),
                ("name", models.CharField(help_text="client_order_id, or strategy/symbol", max_length=160)),
                ("symbol", models.CharField(max_length=32)),
                ("strategy", models.CharField(blank=True, default="", max_length=40)),
                (
                    "quantity",
                    execution.models.fields.AmountField(
                        decimal_places=8, help_text="shares left; a short position is negative", max_digits=20
                    ),
                ),
                (
                    "why",
                    models.CharField(
                        choices=[
                            ("cancel_pending", "its cancel is not done yet"),
                            ("being_replaced", "it is being replaced; the cancel is repeated"),
                            ("stranger", "not ours; left alone unless everything was asked for"),
                            ("closing", "its closing order is under way"),
                            ("denied", "our checks denied the closing order"),
                            ("refused", "the broker refused the closing order"),
                            ("market_closed", "the market is closed, and waiting for the open was not asked for"),
                            ("waits_for_open", "waits until orders for the opening auction are taken"),
                            ("suspended", "the account takes no orders at the broker"),
                            ("halted_symbol", "the exchange has halted it; its closing order waits"),
                        ],
                        max_length=16,
                    ),
                ),
                ("detail", models.CharField(blank=True, default="", max_length=300)),
                ("attempts", models.PositiveSmallIntegerField(default=0, help_text="closing orders made so far")),
                (
                    "failures",
                    models.PositiveSmallIntegerField(default=0, help_text="of those, in a row, without a single share"),
                ),
                ("judged_id", models.BigIntegerField(default=0, help_text="the last closing order that was counted")),
                ("tried_at", models.DateTimeField(blank=True, help_text="wall time", null=True)),
                ("found_at", models.DateTimeField(help_text="wall time")),
                ("seen_at", models.DateTimeField(help_text="wall time of the last look that found it")),
                ("gone_at", models.DateTimeField(blank=True, help_text="wall time", null=True)),
                ("accepted_by", models.CharField(blank=True, default="", max_length=150)),
                ("accepted_reason", models.TextField(blank=True, default="")),
                ("accepted_at", models.DateTimeField(blank=True, help_text="wall time", null=True)),
                (
                    "procedure",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="residue",
                        to="execution.haltprocedure",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "halt residue",
                "ordering": ("kind", "symbol", "name"),
            },
        ),
        migrations.AddConstraint(
            model_name="haltprocedure",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["canceling", "closing", "residue", "verified", "accepted", "superseded"])
                ),
                name="haltprocedure_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="haltprocedure",
            constraint=models.CheckConstraint(
                condition=models.Q(("level__in", ["active", "reducing", "halted", "flattening"])),
                name="haltprocedure_level_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="haltprocedure",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("canceling", "closing", "residue"))),
                fields=("account", "scope"),
                name="haltprocedure_one_running",
            ),
        ),
        migrations.AddConstraint(
            model_name="haltprocedure",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", True), ("state__in", ("canceling", "closing", "residue"))),
                    models.Q(
                        models.Q(("state__in", ("canceling", "closing", "residue")), _negated=True),
                        ("finished_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="haltprocedure_over_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="haltresidue",
            constraint=models.UniqueConstraint(fields=("procedure", "kind", "name"), name="haltresidue_unique"),
        ),
        migrations.AddConstraint(
            model_name="haltresidue",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("accepted_at__isnull", True),
                    models.Q(
                        models.Q(("accepted_by", ""), _negated=True), models.Q(("accepted_reason", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="haltresidue_accepted_by_somebody",
            ),
        ),
    )
