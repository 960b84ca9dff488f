"""What the breaker watches by itself, and the limits it goes by."""

import django.core.serializers.json
import django.db.models.functions.datetime
from django.db import migrations, models


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
            field=models.CharField(choices=[('max_order_quantity', 'Fat finger: shares in one order'), ('max_order_notional', 'Fat finger: value of one order'), ('max_order_adv_pct', 'Share of average daily volume in one order'), ('price_collar_pct', 'Distance of a price from the last'), ('max_price_age_seconds', 'Age of a price, in trading time'), ('max_position_quantity', 'Shares held in one name'), ('max_position_notional', 'Value held in one name'), ('max_gross_notional', 'Gross exposure'), ('max_net_notional', 'Net exposure'), ('max_names', 'Number of names'), ('max_open_orders', 'Open orders at a time'), ('max_orders_per_minute', 'New orders in a market minute'), ('min_order_interval_seconds', 'Between orders of one name and strategy'), ('auction_quiet_minutes', 'No market orders after the open and before the close'), ('daily_loss_pct', 'Loss since the last close'), ('weekly_loss_pct', "Loss since last week's close"), ('intraday_loss_pct', "Loss from the session's highest equity"), ('drawdown_pct', 'Loss from the highest equity ever'), ('max_broker_errors_per_minute', 'Failures of the broker in a minute'), ('max_rejects_per_minute', 'Orders that the broker rejects in a minute'), ('max_feed_age_seconds', 'Age of the price of a held name, in trading time'), ('max_clock_skew_ms', "The broker's clock against ours"), ('breaker_confirmations', 'Looks in a row that must agree before a price trips the breaker'), ('breaker_warning_pct', "Part of a breaker's limit that warns"), ('auto_reduce', 'Reduce by itself what the market has carried over a limit'), ('max_correlation_pct', 'Correlation of a new name with a held one'), ('max_var_pct', 'Loss of a day that is exceeded on one day in 20'), ('market_order_cost_bps', 'Assumed cost of a market order'), ('nbbo_collar_pct', 'Distance of a price beyond bid and ask'), ('max_nbbo_age_seconds', 'Age of bid and ask that a limit is held against'), ('max_sector_notional', 'Value held in one sector'), ('max_open_orders_per_symbol', 'Open orders in one name'), ('max_daily_turnover', 'Value of the orders accepted in a session'), ('max_messages_per_minute', 'Orders, new terms and cancels in a minute'), ('max_identical_orders', 'Orders alike in all their terms'), ('identical_window_seconds', 'Time in which orders alike are counted'), ('max_repeated_orders', 'Orders of one strategy, name and side in a row'), ('repeat_window_seconds', 'Time in which such a row is counted'), ('self_trade_prevention', 'Deny what would meet an order of ours'), ('order_clock_skew_ms', "The broker's clock against ours, at an order"), ('max_signal_age_sessions', 'Age of the signals that a run trades on'), ('soft_max_order_quantity', 'Warning: fat finger: shares in one order'), ('soft_max_order_notional', 'Warning: fat finger: value of one order'), ('soft_max_order_adv_pct', 'Warning: share of average daily volume in one order'), ('soft_price_collar_pct', 'Warning: distance of a price from the last'), ('soft_nbbo_collar_pct', 'Warning: distance of a price beyond bid and ask'), ('soft_max_position_quantity', 'Warning: shares held in one name'), ('soft_max_position_notional', 'Warning: value held in one name'), ('soft_max_sector_notional', 'Warning: value held in one sector'), ('soft_max_gross_notional', 'Warning: gross exposure'), ('soft_max_net_notional', 'Warning: net exposure'), ('soft_max_names', 'Warning: number of names'), ('soft_max_open_orders', 'Warning: open orders at a time'), ('soft_max_open_orders_per_symbol', 'Warning: open orders in one name'), ('soft_max_orders_per_minute', 'Warning: new orders in a market minute'), ('soft_max_messages_per_minute', 'Warning: orders, new terms and cancels in a minute'), ('soft_max_identical_orders', 'Warning: orders alike in all their terms'), ('soft_max_repeated_orders', 'Warning: orders of one strategy, name and side in a row'), ('soft_max_daily_turnover', 'Warning: value of the orders accepted in a session'), ('soft_daily_loss_pct', 'Warning: loss since the last close'), ('soft_weekly_loss_pct', "Warning: loss since last week's close"), ('soft_intraday_loss_pct', "Warning: loss from the session's highest equity"), ('soft_drawdown_pct', 'Warning: loss from the highest equity ever'), ('soft_order_clock_skew_ms', "Warning: the broker's clock against ours, at an order")], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='limit',
            constraint=models.CheckConstraint(condition=models.Q(('name__in', ['auction_quiet_minutes', 'auto_reduce', 'breaker_confirmations', 'breaker_warning_pct', 'daily_loss_pct', 'drawdown_pct', 'identical_window_seconds', 'intraday_loss_pct', 'market_order_cost_bps', 'max_broker_errors_per_minute', 'max_clock_skew_ms', 'max_correlation_pct', 'max_daily_turnover', 'max_feed_age_seconds', 'max_gross_notional', 'max_identical_orders', 'max_messages_per_minute', 'max_names', 'max_nbbo_age_seconds', 'max_net_notional', 'max_open_orders', 'max_open_orders_per_symbol', 'max_order_adv_pct', 'max_order_notional', 'max_order_quantity', 'max_orders_per_minute', 'max_position_notional', 'max_position_quantity', 'max_price_age_seconds', 'max_rejects_per_minute', 'max_repeated_orders', 'max_sector_notional', 'max_signal_age_sessions', 'max_var_pct', 'min_order_interval_seconds', 'nbbo_collar_pct', 'order_clock_skew_ms', 'price_collar_pct', 'repeat_window_seconds', 'self_trade_prevention', 'soft_daily_loss_pct', 'soft_drawdown_pct', 'soft_intraday_loss_pct', 'soft_max_daily_turnover', 'soft_max_gross_notional', 'soft_max_identical_orders', 'soft_max_messages_per_minute', 'soft_max_names', 'soft_max_net_notional', 'soft_max_open_orders', 'soft_max_open_orders_per_symbol', 'soft_max_order_adv_pct', 'soft_max_order_notional', 'soft_max_order_quantity', 'soft_max_orders_per_minute', 'soft_max_position_notional', 'soft_max_position_quantity', 'soft_max_repeated_orders', 'soft_max_sector_notional', 'soft_nbbo_collar_pct', 'soft_order_clock_skew_ms', 'soft_price_collar_pct', 'soft_weekly_loss_pct', 'weekly_loss_pct'])), name='limit_name_known'),
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
