"""Backtests and what came of them."""

import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("signals", "0002_registry"),
    ]

    operations = [
        migrations.CreateModel(
            name='Backtest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('kind', models.CharField(choices=[('backtest', 'backtest'), ('walk_forward', 'walk forward'), ('search', 'parameter search')], max_length=12)),
                ('strategy', models.SlugField(db_index=False, max_length=64)),
                ('title', models.CharField(blank=True, default='', max_length=120)),
                ('start_date', models.DateField()),
                ('end_date', models.DateField()),
                ('parameters', models.JSONField(help_text='Everything that was asked for, defaults included.')),
                ('seed', models.PositiveBigIntegerField(default=0)),
                ('code_version', models.CharField(blank=True, default='', help_text='Over strategy and backtest.', max_length=12)),
                ('data_version', models.CharField(blank=True, default='', help_text='SHA-256 over the adjusted bars.', max_length=64)),
                ('feature_version', models.CharField(blank=True, default='', help_text='Empty without features.', max_length=12)),
                ('model_versions', models.JSONField(blank=True, default=dict, help_text='Registry version by strategy.')),
                ('state', models.CharField(choices=[('pending', 'pending'), ('running', 'running'), ('completed', 'completed'), ('failed', 'failed'), ('canceled', 'canceled')], default='pending', max_length=10)),
                ('metrics', models.JSONField(blank=True, help_text='Figures by name.', null=True)),
                ('detail', models.JSONField(blank=True, help_text='Evaluation, bootstrap, months, windows, trials.', null=True)),
                ('error', models.CharField(blank=True, default='', help_text='Why it failed.', max_length=500)),
                ('asked_by', models.CharField(max_length=150)),
                ('job_id', models.PositiveBigIntegerField(blank=True, help_text='Empty for a command.', null=True, unique=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='Wall time.')),
                ('started_at', models.DateTimeField(blank=True, help_text='Of the newest attempt; wall time.', null=True)),
                ('finished_at', models.DateTimeField(blank=True, help_text='Wall time.', null=True)),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['strategy', '-id'], name='backtest_by_strategy')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['backtest', 'walk_forward', 'search'])), name='backtest_kind_known'), models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'running', 'completed', 'failed', 'canceled'])), name='backtest_state_known'), models.CheckConstraint(condition=models.Q(('start_date__lte', models.F('end_date'))), name='backtest_range_ordered'), models.CheckConstraint(condition=models.Q(('asked_by', ''), _negated=True), name='backtest_asked_by_somebody'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ('completed', 'failed', 'canceled'))), models.Q(models.Q(('state__in', ('completed', 'failed', 'canceled')), _negated=True), ('finished_at__isnull', True)), _connector='OR'), name='backtest_finished_when_over'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'completed'), _negated=True), models.Q(('detail__isnull', False), ('metrics__isnull', False), ('started_at__isnull', False), models.Q(('code_version', ''), _negated=True), models.Q(('data_version', ''), _negated=True)), _connector='OR'), name='backtest_completed_has_figures'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), models.Q(('error', ''), _negated=True)), models.Q(models.Q(('state', 'failed'), _negated=True), ('error', '')), _connector='OR'), name='backtest_failed_says_why')],
            },
        ),
    ]
