"""What the breaker watches by itself, and the limits it goes by."""

import django.core.serializers.json
import django.db.models.functions.datetime
from django.db import migrations, models

from risk.limits import SETTABLE


class Migration(migrations.Migration):

    dependencies = [('risk', '0004_overrides')]

    operations = [
        migrations.CreateModel(
            name='BrokerFault',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(help_text='account:NAME', max_length=80)),
                ('kind', models.CharField(choices=[('reject', 'an order was rejected'), ('error', 'the broker failed to answer, or could not be reached')], max_length=8)),
                ('code', models.CharField(blank=True, default='', max_length=64)),
                ('reason', models.CharField(blank=True, default='', max_length=300)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='wall time')),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='Correlation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('symbol', models.CharField(help_text='the first of the two by name', max_length=32)),
                ('other', models.CharField(max_length=32)),
                ('coefficient', models.DecimalField(decimal_places=6, max_digits=7)),
                ('sessions', models.PositiveIntegerField(help_text='days that both have a return of')),
                ('as_of', models.DateField(help_text='the newest of these days')),
            ],
            options={
                'ordering': ('symbol', 'other'),
            },
        ),
        migrations.CreateModel(
            name='LimitBreach',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(help_text='account:NAME', max_length=80)),
                ('limit_name', models.CharField(max_length=40)),
                ('symbol', models.CharField(blank=True, default='', max_length=32)),
                ('strategy', models.CharField(blank=True, default='', help_text='empty: of all strategies together', max_length=40)),
                ('allowed', models.DecimalField(decimal_places=8, help_text='the limit, in its own unit', max_digits=20)),
                ('observed', models.DecimalField(decimal_places=8, help_text="what is held, in the limit's unit", max_digits=20)),
                ('path', models.CharField(blank=True, default='', help_text='what has to go to be within it again', max_length=200)),
                ('since', models.DateTimeField(help_text='wall time')),
                ('seen_at', models.DateTimeField(help_text='wall time of the newest look')),
                ('over_at', models.DateTimeField(blank=True, help_text='wall time it was kept again', null=True)),
                ('tries', models.PositiveIntegerField(default=0, help_text='orders that the automatic reduction has asked for')),
                ('last_try_at', models.DateTimeField(blank=True, help_text='wall time', null=True)),
            ],
            options={
                'verbose_name_plural': 'limit breaches',
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='RiskReading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(help_text='account:NAME', max_length=80, unique=True)),
                ('evaluated_at', models.DateTimeField(help_text='wall time of the look')),
                ('market_at', models.DateTimeField(help_text='market time of the look')),
                ('trading_date', models.DateField(help_text='NYSE session that session_peak_equity belongs to')),
                ('equity', models.DecimalField(blank=True, decimal_places=8, help_text='account currency, unrealised P&L included; empty when it could not be read', max_digits=20, null=True)),
                ('net_deposits', models.DecimalField(decimal_places=8, help_text='deposits minus withdrawals so far, account currency', max_digits=20)),
                ('day_base_equity', models.DecimalField(decimal_places=8, help_text='equity at the close before and deposits since, account currency', max_digits=20)),
                ('week_base_equity', models.DecimalField(decimal_places=8, help_text="equity at last week's close and deposits since, account currency", max_digits=20)),
                ('session_peak_equity', models.DecimalField(decimal_places=8, help_text='highest equity of the session, account currency', max_digits=20)),
                ('peak_equity', models.DecimalField(decimal_places=8, help_text='highest equity ever, account currency', max_digits=20)),
                ('limits_version', models.BigIntegerField(default=0, help_text='version of the limits that were looked by')),
                ('streaks', models.JSONField(blank=True, default=dict, help_text='looks in a row over the limit, by cause')),
                ('readings', models.JSONField(blank=True, default=list, encoder=django.core.serializers.json.DjangoJSONEncoder)),
            ],
            options={
                'ordering': ('scope',),
            },
        ),
        migrations.RemoveConstraint(
            model_name='limit',
            name='limit_name_known',
        ),
        migrations.AlterField(
            model_name='limit',
            name='name',
            field=models.CharField(choices=[(item.name, item.label) for item in SETTABLE.values()], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='limit',
            constraint=models.CheckConstraint(condition=models.Q(('name__in', sorted(SETTABLE))), name='limit_name_known'),
        ),
        migrations.AddIndex(
            model_name='brokerfault',
            index=models.Index(fields=['scope', 'at', 'kind'], name='brokerfault_window'),
        ),
        migrations.AddConstraint(
            model_name='brokerfault',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['reject', 'error'])), name='brokerfault_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='correlation',
            constraint=models.UniqueConstraint(fields=('symbol', 'other'), name='correlation_pair_unique'),
        ),
        migrations.AddConstraint(
            model_name='correlation',
            constraint=models.CheckConstraint(condition=models.Q(('symbol__lt', models.F('other'))), name='correlation_pair_ordered'),
        ),
        migrations.AddConstraint(
            model_name='correlation',
            constraint=models.CheckConstraint(condition=models.Q(('coefficient__gte', -1), ('coefficient__lte', 1)), name='correlation_range'),
        ),
        migrations.AddConstraint(
            model_name='limitbreach',
            constraint=models.UniqueConstraint(condition=models.Q(('over_at__isnull', True)), fields=('scope', 'limit_name', 'symbol', 'strategy'), name='limitbreach_one_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='riskreading',
            constraint=models.CheckConstraint(condition=models.Q(('peak_equity__gte', models.F('session_peak_equity'))), name='riskreading_peak_is_highest'),
        ),
        migrations.RunSQL(
            "CREATE TRIGGER risk_brokerfault_append_only BEFORE UPDATE OR DELETE ON risk_brokerfault "
            "FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()",
            "DROP TRIGGER risk_brokerfault_append_only ON risk_brokerfault",
        ),
    ]
