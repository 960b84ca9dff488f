"""What went into signals besides bars, counts of what was refused, and what versions in the shadow say and bring."""

import django.db.models.deletion
from django.db import migrations, models

APPEND_ONLY = ("signals_shadowset", "signals_shadowsignal", "signals_shadowresult")


def trigger(table: str) -> migrations.RunSQL:
    """Guard one table."""
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()",
        f"DROP TRIGGER {table}_append_only ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0001_initial"), ("risk", "0002_append_only"), ("signals", "0003_backtests")]

    operations = [
        migrations.AddField(
            model_name="signalset",
            name="feature_version",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Of the features' definitions; empty where bars were scored.",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="signalset",
            name="model_version",
            field=models.ForeignKey(
                blank=True,
                help_text="The one model that scored, of an ensemble its member's; empty where there is none or more than one.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="signals.modelversion",
            ),
        ),
        migrations.AddField(
            model_name="signalset",
            name="present",
            field=models.JSONField(
                default=dict, help_text="Weights held when it was made, where a turnover cap moves from them."
            ),
        ),
        migrations.AlterField(
            model_name="signalset",
            name="code_version",
            field=models.CharField(
                help_text="Over the text of the strategy's file, of its members' and of what makes weights.",
                max_length=12,
            ),
        ),
        migrations.CreateModel(
            name="RefusalCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("strategy", models.SlugField(db_index=False, max_length=64)),
                ("reason", models.SlugField(db_index=False, max_length=32)),
                ("count", models.PositiveBigIntegerField(help_text="symbols left out, or whole sets refused")),
                ("last_at", models.DateTimeField(help_text="wall time")),
                ("last_detail", models.CharField(blank=True, default="", max_length=300)),
            ],
            options={
                "ordering": ("strategy", "reason"),
                "constraints": [
                    models.UniqueConstraint(fields=("strategy", "reason"), name="refusalcount_unique"),
                    models.CheckConstraint(condition=models.Q(("count__gt", 0)), name="refusalcount_counts"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ShadowSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("strategy", models.SlugField(db_index=False, max_length=64)),
                ("as_of_date", models.DateField(help_text="the session whose close is the newest thing known")),
                ("session", models.DateField(help_text="the session whose open the orders would have been for")),
                ("universe", models.JSONField(help_text="symbols asked about, sorted")),
                ("parameters", models.JSONField()),
                (
                    "data_hash",
                    models.CharField(
                        blank=True, default="", help_text="SHA-256 over the rows that went in", max_length=64
                    ),
                ),
                ("feature_version", models.CharField(blank=True, default="", max_length=12)),
                ("code_version", models.CharField(help_text="over the text of the strategy's file", max_length=12)),
                (
                    "capital",
                    models.DecimalField(decimal_places=4, help_text="account currency the run had", max_digits=20),
                ),
                (
                    "failure",
                    models.CharField(blank=True, default="", help_text="why there are no signals", max_length=500),
                ),
                ("created_at", models.DateTimeField(help_text="wall time")),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shadow_sets",
                        to="signals.modelversion",
                    ),
                ),
            ],
            options={
                "ordering": ("-as_of_date", "strategy", "version"),
            },
        ),
        migrations.CreateModel(
            name="ShadowResult",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("strategy", models.SlugField(db_index=False, max_length=64)),
                ("session", models.DateField()),
                ("role", models.CharField(choices=[("active", "active"), ("shadow", "shadow")], max_length=8)),
                ("gross_return", models.DecimalField(decimal_places=8, max_digits=12)),
                ("cost", models.DecimalField(decimal_places=8, max_digits=12)),
                ("turnover", models.DecimalField(decimal_places=8, help_text="Σ|change of weight|", max_digits=12)),
                ("pnl", models.DecimalField(decimal_places=4, help_text="account currency, after cost", max_digits=20)),
                (
                    "rank_ic",
                    models.FloatField(
                        help_text="Spearman's, scores against open-to-close; null with under 3 names", null=True
                    ),
                ),
                (
                    "unpriced",
                    models.JSONField(help_text="symbols with a weight and without both prices; they count as unmoved"),
                ),
                ("created_at", models.DateTimeField(help_text="wall time")),
                (
                    "signal_set",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="signals.signalset",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shadow_results",
                        to="signals.modelversion",
                    ),
                ),
                (
                    "shadow_set",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="result",
                        to="signals.shadowset",
                    ),
                ),
            ],
            options={
                "ordering": ("-session", "strategy", "role", "version"),
            },
        ),
        migrations.CreateModel(
            name="ShadowSignal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("score", models.FloatField(help_text="higher is better", null=True)),
                ("rank", models.PositiveIntegerField(help_text="1 is the highest score", null=True)),
                (
                    "target_weight",
                    models.DecimalField(
                        decimal_places=6, default=0, help_text="signed fraction of the strategy's capital", max_digits=7
                    ),
                ),
                (
                    "excluded_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("no_bars", "no bars"),
                            ("insufficient_history", "insufficient history"),
                            ("stale_feature", "stale feature"),
                            ("not_finite", "score is not a finite number"),
                        ],
                        max_length=24,
                    ),
                ),
                (
                    "instrument",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="marketdata.instrument"
                    ),
                ),
                (
                    "shadow_set",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signals",
                        to="signals.shadowset",
                    ),
                ),
            ],
            options={
                "ordering": ("shadow_set", "rank", "instrument"),
            },
        ),
        migrations.AddIndex(
            model_name="shadowset",
            index=models.Index(fields=["strategy", "session"], name="shadowset_by_session"),
        ),
        migrations.AddConstraint(
            model_name="shadowset",
            constraint=models.UniqueConstraint(fields=("version", "as_of_date"), name="shadowset_unique"),
        ),
        migrations.AddConstraint(
            model_name="shadowset",
            constraint=models.CheckConstraint(
                condition=models.Q(("as_of_date__lt", models.F("session"))), name="shadowset_as_of_before_session"
            ),
        ),
        migrations.AddConstraint(
            model_name="shadowset",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("failure", ""), _negated=True), ("data_hash__regex", "^[0-9a-f]{64}$"), _connector="OR"
                ),
                name="shadowset_scored_or_failed",
            ),
        ),
        migrations.AddIndex(
            model_name="shadowresult",
            index=models.Index(fields=["strategy", "-session"], name="shadowresult_by_strategy"),
        ),
        migrations.AddConstraint(
            model_name="shadowresult",
            constraint=models.UniqueConstraint(fields=("version", "session", "role"), name="shadowresult_unique"),
        ),
        migrations.AddConstraint(
            model_name="shadowresult",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["active", "shadow"])), name="shadowresult_role_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="shadowresult",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("role", "shadow"), ("shadow_set__isnull", False), ("signal_set__isnull", True)),
                    models.Q(("role", "active"), ("shadow_set__isnull", True), ("signal_set__isnull", False)),
                    _connector="OR",
                ),
                name="shadowresult_from_its_set",
            ),
        ),
        migrations.AddConstraint(
            model_name="shadowsignal",
            constraint=models.UniqueConstraint(
                fields=("shadow_set", "instrument"), name="shadow_set_instrument_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="shadowsignal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("excluded_reason", ""), ("rank__isnull", False), ("score__isnull", False)),
                    models.Q(
                        models.Q(("excluded_reason", ""), _negated=True),
                        ("rank__isnull", True),
                        ("score__isnull", True),
                        ("target_weight", 0),
                    ),
                    _connector="OR",
                ),
                name="shadowsignal_scored_or_excluded",
            ),
        ),
        *(trigger(table) for table in APPEND_ONLY),
    ]
