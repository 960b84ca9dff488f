"""Overrides of limits that another person approved, and the warnings of a decision."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("risk", "0003_alerts_and_levels"),)
    operations = (
        migrations.AddField(
            model_name='decision',
            name='warnings',
            field=models.JSONField(blank=True, db_default=[], default=list, help_text='soft limits that an accepted order has passed'),
        ),
        migrations.CreateModel(
            name='LimitOverride',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40)),
                ('strategy', models.CharField(blank=True, default='', max_length=40)),
                ('symbol', models.CharField(blank=True, default='', max_length=16)),
                ('value', models.DecimalField(decimal_places=8, help_text="in the limit's own unit", max_digits=20)),
                ('reason', models.TextField()),
                ('valid_from', models.DateTimeField(help_text='wall time')),
                ('valid_until', models.DateTimeField(help_text='wall time from which it counts no more')),
                ('state', models.CharField(choices=[('requested', 'waiting for another person'), ('approved', 'approved'), ('rejected', 'rejected'), ('revoked', 'taken back')], default='requested', max_length=10)),
                ('requested_by', models.CharField(max_length=150)),
                ('requested_at', models.DateTimeField(help_text='wall time')),
                ('decided_by', models.CharField(blank=True, default='', help_text='who approved or rejected', max_length=150)),
                ('decided_at', models.DateTimeField(blank=True, help_text='wall time', null=True)),
                ('revoked_by', models.CharField(blank=True, default='', max_length=150)),
                ('revoked_at', models.DateTimeField(blank=True, help_text='wall time', null=True)),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.AddIndex(
            model_name='limitoverride',
            index=models.Index(condition=models.Q(('state', 'approved')), fields=['valid_until'], name='override_approved'),
        ),
        migrations.AddConstraint(
            model_name='limitoverride',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['requested', 'approved', 'rejected', 'revoked'])), name='override_state_known'),
        ),
        migrations.AddConstraint(
            model_name='limitoverride',
            constraint=models.CheckConstraint(condition=models.Q(('reason__length__gte', 10), ('reason__length__lte', 500)), name='override_reason_length'),
        ),
        migrations.AddConstraint(
            model_name='limitoverride',
            constraint=models.CheckConstraint(condition=models.Q(('value__gte', 0)), name='override_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='limitoverride',
            constraint=models.CheckConstraint(condition=models.Q(('valid_until__gt', models.F('valid_from'))), name='override_ends_after_start'),
        ),
        migrations.AddConstraint(
            model_name='limitoverride',
            constraint=models.CheckConstraint(condition=models.Q(('requested_by', ''), _negated=True), name='override_requester_named'),
        ),
        migrations.AddConstraint(
            model_name='limitoverride',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['approved', 'revoked']), _negated=True), models.Q(models.Q(('decided_by', ''), _negated=True), models.Q(('decided_by', models.F('requested_by')), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='override_needs_two'),
        ),
        migrations.AddConstraint(
            model_name='limitoverride',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'revoked'), _negated=True), models.Q(models.Q(('revoked_by', ''), _negated=True), ('revoked_at__isnull', False)), _connector='OR'), name='override_revoked_by_somebody'),
        ),
        migrations.AddField(
            model_name='limitchange',
            name='override',
            field=models.ForeignKey(blank=True, help_text='the override that begins or ends with this change', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='risk.limitoverride'),
        ),
    )
