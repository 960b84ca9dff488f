"""What the newer controls count."""

from decimal import Decimal

from django.db import migrations, models

import execution.models.fields


class Migration(migrations.Migration):
    dependencies = (("execution", "0012_halting"), ("marketdata", "0004_sectors"), ("risk", "0004_overrides"))
    operations = (
        migrations.AddField(
            model_name='position',
            name='turnover_on',
            field=models.DateField(blank=True, help_text='session that turnover belongs to', null=True),
        ),
        migrations.AddField(
            model_name='position',
            name='turnover',
            field=execution.models.fields.AmountField(db_default=Decimal('0'), decimal_places=8, default=Decimal('0'), help_text='value of the orders accepted in that session', max_digits=20),
        ),
        migrations.AddField(
            model_name='position',
            name='message_minute',
            field=models.DateTimeField(blank=True, help_text='market minute that message_count is of', null=True),
        ),
        migrations.AddField(
            model_name='position',
            name='message_count',
            field=models.IntegerField(db_default=0, default=0, help_text='orders, new terms and cancels asked for'),
        ),
        migrations.AddField(
            model_name='position',
            name='buy_run_until',
            field=models.DateTimeField(blank=True, help_text='market time; a run of buys starts anew then', null=True),
        ),
        migrations.AddField(
            model_name='position',
            name='buy_run_count',
            field=models.IntegerField(db_default=0, default=0, help_text='buys accepted in the run'),
        ),
        migrations.AddField(
            model_name='position',
            name='sell_run_until',
            field=models.DateTimeField(blank=True, help_text='as buy_run_until', null=True),
        ),
        migrations.AddField(
            model_name='position',
            name='sell_run_count',
            field=models.IntegerField(db_default=0, default=0, help_text='sells accepted in the run'),
        ),
        migrations.AddConstraint(
            model_name='position',
            constraint=models.CheckConstraint(condition=models.Q(('turnover__gte', 0), ('message_count__gte', 0), ('buy_run_count__gte', 0), ('sell_run_count__gte', 0)), name='position_pace_not_negative'),
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(condition=models.Q(('order_type', 'limit'), ('status__in', ['accepted', 'partially_filled', 'pending', 'pending_cancel', 'pending_replace', 'submitted'])), fields=['account', 'instrument', 'side', 'limit_price'], name='order_resting_limits'),
        ),
    )
