"""Reconciliation: runs, breaks, forced completion, what was inferred and corrected, cash that no trade moved."""

import django.core.serializers.json
import django.db.models.deletion
import execution.models.fields
from decimal import Decimal
from django.db import migrations, models


APPEND_ONLY = (
    "execution_inferredfill",
    "execution_supersession",
    "execution_correction",
    "execution_cashactivity",
)


class Migration(migrations.Migration):
    dependencies = [
        ("execution", "0010_slicing"),
        ("marketdata", "0003_broker_permissions"),
        ("risk", "0003_alerts_and_levels"),
    ]

    operations = [
        migrations.CreateModel(
            name="Break",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("order", "order"),
                            ("position", "position"),
                            ("cash", "cash"),
                            ("fill", "execution"),
                            ("identity", "identity"),
                        ],
                        max_length=8,
                    ),
                ),
                ("subject", models.CharField(help_text="a symbol, an order's client_order_id, cash", max_length=140)),
                ("symbol", models.CharField(blank=True, default="", max_length=32)),
                ("ours", models.CharField(max_length=60)),
                ("theirs", models.CharField(max_length=60)),
                ("cause", models.CharField(blank=True, default="", help_text="what may have happened", max_length=300)),
                (
                    "proposal",
                    models.CharField(blank=True, default="", help_text="what a repair would do", max_length=300),
                ),
                (
                    "repair",
                    models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("suspected", "seen once"),
                            ("open", "confirmed, to be decided"),
                            ("repaired", "repaired"),
                            ("accepted", "accepted as it is"),
                            ("ignored", "ignored for a day"),
                            ("gone", "gone by itself"),
                        ],
                        default="suspected",
                        max_length=10,
                    ),
                ),
                ("sightings", models.PositiveIntegerField(default=1)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("decided_by", models.CharField(blank=True, default="", max_length=150)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="CashActivity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("activity_id", models.CharField(max_length=96)),
                ("kind", models.CharField(help_text="in the broker's words", max_length=12)),
                (
                    "amount",
                    execution.models.fields.AmountField(
                        decimal_places=8, help_text="account currency, positive when cash comes in", max_digits=20
                    ),
                ),
                ("symbol", models.CharField(blank=True, default="", max_length=32)),
                ("at", models.DateTimeField(help_text="market time at the broker")),
                ("description", models.CharField(blank=True, default="", max_length=300)),
                ("created_at", models.DateTimeField(help_text="wall time")),
            ],
            options={
                "verbose_name_plural": "cash activities",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="Correction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(help_text="what makes it happen once", max_length=200)),
                ("reason", models.CharField(max_length=500)),
                ("operator", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField(help_text="wall time")),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="ForcedCompletion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("requested_by", models.CharField(max_length=150)),
                ("reason", models.CharField(max_length=500)),
                ("requested_at", models.DateTimeField()),
                ("request_expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "waiting for another operator"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                        ],
                        default="pending",
                        max_length=8,
                    ),
                ),
                ("decided_by", models.CharField(blank=True, default="", max_length=150)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "expires_at",
                    models.DateTimeField(blank=True, help_text="until when the account may trade", null=True),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="InferredFill",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "from_quantity",
                    execution.models.fields.AmountField(
                        decimal_places=8, help_text="the order's filled shares before it", max_digits=20
                    ),
                ),
                (
                    "to_quantity",
                    execution.models.fields.AmountField(decimal_places=8, help_text="and after it", max_digits=20),
                ),
                ("created_at", models.DateTimeField(help_text="wall time")),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="ReconciliationRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "trigger",
                    models.CharField(
                        choices=[
                            ("start", "start of the dispatcher"),
                            ("timer", "the clock"),
                            ("operator", "an operator"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "started_by",
                    models.CharField(blank=True, default="", help_text="the operator who asked for it", max_length=150),
                ),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "under way"),
                            ("clean", "both books agree"),
                            ("broken", "the books differ"),
                            ("failed", "no verdict"),
                        ],
                        default="running",
                        max_length=8,
                    ),
                ),
                ("orders_compared", models.PositiveIntegerField(default=0)),
                ("positions_compared", models.PositiveIntegerField(default=0)),
                (
                    "adopted",
                    models.PositiveIntegerField(
                        default=0, help_text="orders and positions that nobody of ours had wanted"
                    ),
                ),
                ("inferred", models.PositiveIntegerField(default=0, help_text="fills that no execution told")),
                ("booked", models.PositiveIntegerField(default=0, help_text="fees, dividends and transfers of cash")),
                ("open_breaks", models.PositiveIntegerField(default=0, help_text="afterwards")),
                (
                    "cash_difference",
                    execution.models.fields.AmountField(
                        blank=True,
                        decimal_places=8,
                        help_text="ours minus the broker's, what is explained apart",
                        max_digits=20,
                        null=True,
                    ),
                ),
                (
                    "problem",
                    models.CharField(blank=True, default="", help_text="why there is no verdict", max_length=300),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="Supersession",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("broker_execution_id", models.CharField(max_length=96)),
                (
                    "quantity",
                    execution.models.fields.AmountField(
                        decimal_places=8, help_text="shares of the inferred fill that it tells", max_digits=20
                    ),
                ),
                ("price", execution.models.fields.AmountField(decimal_places=8, help_text="as told", max_digits=20)),
                ("fee", execution.models.fields.AmountField(decimal_places=8, default=Decimal("0"), max_digits=20)),
                ("created_at", models.DateTimeField(help_text="wall time")),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.RemoveConstraint(
            model_name="account",
            name="account_reconciliation_known",
        ),
        migrations.RemoveConstraint(
            model_name="cashentry",
            name="cashentry_kind_known",
        ),
        migrations.RemoveConstraint(
            model_name="cashentry",
            name="cashentry_trade_has_fill",
        ),
        migrations.RemoveConstraint(
            model_name="order",
            name="order_origin_known",
        ),
        migrations.AddField(
            model_name="account",
            name="activities_until",
            field=models.DateTimeField(
                blank=True,
                help_text="market time at the broker up to which fees, dividends and transfers are known",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="strangers",
            field=models.CharField(
                choices=[
                    ("adopt", "taken into the book under EXTERNAL"),
                    ("quarantine", "refused, and the account is closed"),
                ],
                db_default="adopt",
                default="adopt",
                help_text="what happens to orders and positions at the broker that nobody of ours wanted",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="cashentry",
            name="base_amount",
            field=execution.models.fields.AmountField(
                blank=True,
                decimal_places=8,
                help_text="of a transfer in kind: its value at the market, by which the base of the day's loss moves",
                max_digits=20,
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="account",
            name="reconciliation",
            field=models.CharField(
                choices=[
                    ("pending", "not yet reconciled since the start"),
                    ("clean", "agrees with the broker"),
                    ("broken", "differs from the broker"),
                    ("forced", "may trade by two people's word"),
                ],
                db_default="pending",
                default="pending",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="cashentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("deposit", "deposit, in cash or in kind"),
                    ("withdrawal", "withdrawal"),
                    ("trade", "bought or sold"),
                    ("fee", "commission or fee"),
                    ("dividend", "dividend"),
                    ("interest", "interest"),
                    ("other", "told by the broker in words of its own"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="origin",
            field=models.CharField(
                choices=[
                    ("api", "REST API"),
                    ("alpaca_api", "Alpaca-compatible API"),
                    ("console", "console"),
                    ("run", "strategy run"),
                    ("slice", "slice of a parent order"),
                    ("command", "command line"),
                    ("flatten", "closing under the kill switch"),
                    ("reduction", "automatic reduction"),
                    ("external", "somebody else at the broker"),
                    ("correction", "correction of an execution"),
                ],
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="cashentry",
            index=models.Index(
                condition=models.Q(("kind__in", ["deposit", "withdrawal"])),
                fields=["account", "trading_date"],
                name="cashentry_transfers",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("reconciliation__in", ["pending", "clean", "broken", "forced"])),
                name="account_reconciliation_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("strangers__in", ["adopt", "quarantine"])), name="account_strangers_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="cashentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["deposit", "withdrawal", "trade", "fee", "dividend", "interest", "other"])
                ),
                name="cashentry_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="cashentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("fill__isnull", False), ("kind", "trade")),
                    ("kind", "fee"),
                    models.Q(
                        ("fill__isnull", True), ("kind__in", ["deposit", "withdrawal", "dividend", "interest", "other"])
                    ),
                    _connector="OR",
                ),
                name="cashentry_trade_has_fill",
            ),
        ),
        migrations.AddConstraint(
            model_name="cashentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("base_amount__isnull", True), ("kind__in", ["deposit", "withdrawal"]), _connector="OR"
                ),
                name="cashentry_base_is_of_transfer",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "origin__in",
                        [
                            "api",
                            "alpaca_api",
                            "console",
                            "run",
                            "slice",
                            "command",
                            "flatten",
                            "reduction",
                            "external",
                            "correction",
                        ],
                    )
                ),
                name="order_origin_known",
            ),
        ),
        migrations.AddField(
            model_name="break",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="breaks",
                to="execution.account",
            ),
        ),
        migrations.AddField(
            model_name="cashactivity",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cash_activities",
                to="execution.account",
            ),
        ),
        migrations.AddField(
            model_name="cashactivity",
            name="entry",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="activity",
                to="execution.cashentry",
            ),
        ),
        migrations.AddField(
            model_name="cashactivity",
            name="matches",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="paid_by",
                to="execution.cashentry",
            ),
        ),
        migrations.AddField(
            model_name="correction",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="corrections",
                to="execution.account",
            ),
        ),
        migrations.AddField(
            model_name="correction",
            name="corrects",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="corrections",
                to="execution.fill",
            ),
        ),
        migrations.AddField(
            model_name="correction",
            name="order",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="correction", to="execution.order"
            ),
        ),
        migrations.AddField(
            model_name="forcedcompletion",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="forced_completions", to="execution.account"
            ),
        ),
        migrations.AddField(
            model_name="inferredfill",
            name="fill",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="inference", to="execution.fill"
            ),
        ),
        migrations.AddField(
            model_name="inferredfill",
            name="order",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="inferred_fills", to="execution.order"
            ),
        ),
        migrations.AddField(
            model_name="reconciliationrun",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="reconciliation_runs", to="execution.account"
            ),
        ),
        migrations.AddField(
            model_name="forcedcompletion",
            name="run",
            field=models.ForeignKey(
                help_text="the proof that a run was tried",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="execution.reconciliationrun",
            ),
        ),
        migrations.AddField(
            model_name="supersession",
            name="inferred",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="supersessions", to="execution.inferredfill"
            ),
        ),
        migrations.AddConstraint(
            model_name="break",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["suspected", "open", "accepted", "ignored"])),
                fields=("account", "kind", "subject"),
                name="break_one_live",
            ),
        ),
        migrations.AddConstraint(
            model_name="break",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["order", "position", "cash", "fill", "identity"])),
                name="break_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="break",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["suspected", "open", "repaired", "accepted", "ignored", "gone"])),
                name="break_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="break",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["accepted", "ignored"]), _negated=True),
                    models.Q(
                        models.Q(("decided_by", ""), _negated=True),
                        ("decided_at__isnull", False),
                        ("reason__length__gte", 10),
                        ("reason__length__lte", 500),
                    ),
                    _connector="OR",
                ),
                name="break_decision_has_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="cashactivity",
            constraint=models.UniqueConstraint(fields=("account", "activity_id"), name="cashactivity_once"),
        ),
        migrations.AddConstraint(
            model_name="cashactivity",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("entry__isnull", False), ("matches__isnull", True)),
                    models.Q(("entry__isnull", True), ("matches__isnull", False)),
                    _connector="OR",
                ),
                name="cashactivity_is_booked",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.UniqueConstraint(fields=("account", "key"), name="correction_once"),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("operator", ""), _negated=True), name="correction_operator_named"
            ),
        ),
        migrations.AddConstraint(
            model_name="inferredfill",
            constraint=models.CheckConstraint(
                condition=models.Q(("from_quantity__gte", 0), ("to_quantity__gt", models.F("from_quantity"))),
                name="inferredfill_grows",
            ),
        ),
        migrations.AddIndex(
            model_name="reconciliationrun",
            index=models.Index(fields=["account", "-id"], name="reconciliationrun_newest"),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "running")), fields=("account",), name="reconciliationrun_one_running"
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("trigger__in", ["start", "timer", "operator"])),
                name="reconciliationrun_trigger_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", True), ("state", "running")),
                    models.Q(("finished_at__isnull", False), ("state__in", ["clean", "broken", "failed"])),
                    _connector="OR",
                ),
                name="reconciliationrun_finished_with_verdict",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "failed"), _negated=True),
                    models.Q(("problem", ""), _negated=True),
                    _connector="OR",
                ),
                name="reconciliationrun_failed_says_why",
            ),
        ),
        migrations.AddConstraint(
            model_name="forcedcompletion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "pending")), fields=("account",), name="forcedcompletion_one_pending"
            ),
        ),
        migrations.AddConstraint(
            model_name="forcedcompletion",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason__length__gte", 10), ("reason__length__lte", 500)),
                name="forcedcompletion_reason_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="forcedcompletion",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["pending", "approved", "rejected", "expired"])),
                name="forcedcompletion_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="forcedcompletion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "approved"), _negated=True),
                    models.Q(
                        models.Q(("decided_by", ""), _negated=True),
                        models.Q(("decided_by", models.F("requested_by")), _negated=True),
                        ("expires_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="forcedcompletion_needs_two",
            ),
        ),
        migrations.AddConstraint(
            model_name="supersession",
            constraint=models.UniqueConstraint(fields=("inferred", "broker_execution_id"), name="supersession_once"),
        ),
        migrations.AddConstraint(
            model_name="supersession",
            constraint=models.CheckConstraint(
                condition=models.Q(("quantity__gt", 0)), name="supersession_quantity_positive"
            ),
        ),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()",
                f"DROP TRIGGER {table}_append_only ON {table}",
            )
            for table in APPEND_ONLY
        ),
        migrations.RunSQL(
            "UPDATE execution_account SET strangers = 'quarantine' WHERE mode IN ('paper', 'dry_run')",
            migrations.RunSQL.noop,
        ),
    ]
