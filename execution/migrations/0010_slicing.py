"""Parent orders, their slices and events; children of a parent never add up to more than it."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
import execution.models.fields
from decimal import Decimal
from django.db import migrations, models

# A child is stored only while its parent works, for a slice that somebody is sending, and within what is left: what
# is open or filled of all children never exceeds the parent. The parent's row is taken, so that a pause that commits
# first refuses the child, and one that comes later sees it. Denied orders are nothing but a record.
CHILD_FITS = """
CREATE FUNCTION portcullis_child_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whole numeric;
    state text;
    used numeric;
BEGIN
    SELECT quantity, status INTO whole, state FROM execution_parentorder WHERE id = NEW.parent_id
        FOR NO KEY UPDATE;
    IF state IS DISTINCT FROM 'active' THEN
        RAISE EXCEPTION 'parent order % is %: it takes no child', NEW.parent_id, state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_parent_active';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM execution_slice s
                   WHERE s.parent_id = NEW.parent_id AND s.number = NEW.slice_number AND s.status = 'claimed'
                   AND s.quantity = NEW.quantity) THEN
        RAISE EXCEPTION 'slice % of parent order % is not being sent', NEW.slice_number, NEW.parent_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_slice_claimed';
    END IF;
    SELECT coalesce(sum(CASE WHEN status IN ('filled', 'canceled', 'expired', 'rejected', 'replaced')
                             THEN filled_quantity ELSE quantity END), 0)
        INTO used FROM execution_order WHERE parent_id = NEW.parent_id AND status <> 'denied';
    IF used + NEW.quantity > whole THEN
        RAISE EXCEPTION 'parent order %: % of % shares are open or filled, % more do not fit',
            NEW.parent_id, used, whole, NEW.quantity
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_within_parent';
    END IF;
    RETURN NEW;
END $$
"""
CHILD_TRIGGER = """
CREATE TRIGGER execution_order_child_fits BEFORE INSERT ON execution_order
FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND NEW.status <> 'denied') EXECUTE FUNCTION portcullis_child_fits()
"""
EVENT_TRIGGER = """
CREATE TRIGGER execution_parentevent_append_only BEFORE UPDATE OR DELETE ON execution_parentevent
FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()
"""


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0009_alerts_and_levels'),
        ('marketdata', '0003_broker_permissions'),
        ('risk', '0003_alerts_and_levels'),
    ]

    operations = [
        migrations.CreateModel(
            name='Slice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(help_text='within the parent, never given twice')),
                ('plan', models.PositiveIntegerField(default=1, help_text='plan that gave it its quantity')),
                ('due_at', models.DateTimeField(help_text='market time')),
                ('quantity', execution.models.fields.AmountField(decimal_places=8, help_text='shares', max_digits=20)),
                ('max_quantity', execution.models.fields.AmountField(decimal_places=8, help_text='shares; the most that it may take over from others', max_digits=20)),
                ('status', models.CharField(choices=[('planned', 'planned'), ('claimed', 'claimed (being sent)'), ('sent', 'sent'), ('done', 'done'), ('returned', 'returned (its rest went back to the plan)'), ('skipped', 'skipped')], default='planned', max_length=8)),
                ('claim', models.UUIDField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, help_text='wall time', null=True)),
                ('reason', models.CharField(blank=True, db_default='', default='', max_length=500)),
            ],
            options={
                'ordering': ('parent', 'number'),
            },
        ),
        migrations.CreateModel(
            name='ParentOrder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_order_id', models.CharField(max_length=128)),
                ('intent_key', models.CharField(help_text='SHA-256 of what is wanted, without the attempt', max_length=64)),
                ('attempt', models.PositiveIntegerField(default=1)),
                ('idempotency_key', models.CharField(blank=True, db_default='', default='', max_length=128)),
                ('side', models.CharField(choices=[('buy', 'buy'), ('sell', 'sell')], max_length=4)),
                ('quantity', execution.models.fields.AmountField(decimal_places=8, help_text='shares', max_digits=20)),
                ('algo', models.CharField(choices=[('twap', 'TWAP (evenly over time)'), ('vwap', "VWAP (along the day's volume)")], max_length=4)),
                ('duration_minutes', models.PositiveIntegerField(help_text='as it was wished; the session may leave less')),
                ('wished_slices', models.PositiveIntegerField(help_text='as it was wished; there may be fewer')),
                ('max_participation', models.DecimalField(decimal_places=4, help_text='part of the expected volume', max_digits=5)),
                ('limit_price', execution.models.fields.AmountField(blank=True, decimal_places=8, max_digits=20, null=True)),
                ('limit_offset_bps', models.DecimalField(blank=True, decimal_places=4, help_text='from the last price when a slice is sent', max_digits=8, null=True)),
                ('reduce_only', models.BooleanField(db_default=False, default=False)),
                ('origin', models.CharField(choices=[('api', 'REST API'), ('alpaca_api', 'Alpaca-compatible API'), ('console', 'console'), ('run', 'strategy run'), ('command', 'command line')], max_length=12)),
                ('source_ref', models.CharField(blank=True, db_default='', default='', help_text='who wanted it', max_length=64)),
                ('starts_at', models.DateTimeField(help_text='market time')),
                ('ends_at', models.DateTimeField(help_text='market time; nothing of it trades later')),
                ('shortened', models.BooleanField(db_default=False, default=False, help_text='by the end of the session')),
                ('seed', models.BigIntegerField()),
                ('average_daily_volume', execution.models.fields.AmountField(decimal_places=8, help_text='shares, as known when it was planned', max_digits=20)),
                ('curve_source', models.CharField(help_text='where the expected volume comes from', max_length=100)),
                ('plan', models.PositiveIntegerField(default=1, help_text='number of the newest plan')),
                ('status', models.CharField(choices=[('active', 'active'), ('paused', 'paused'), ('canceling', 'cancel requested'), ('expiring', 'window over, last orders are canceled'), ('completed', 'completed'), ('canceled', 'canceled'), ('expired', 'expired'), ('failed', 'failed')], default='active', max_length=10)),
                ('reason', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('trading_date', models.DateField(help_text='NYSE session of the window')),
                ('market_at', models.DateTimeField(help_text='market time of the decision')),
                ('created_at', models.DateTimeField(auto_now_add=True, db_default=django.db.models.functions.datetime.Now())),
                ('closed_at', models.DateTimeField(blank=True, help_text='wall time', null=True)),
                ('asked_at', models.DateTimeField(blank=True, help_text='wall time work on it was last asked for', null=True)),
                ('account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='parent_orders', to='execution.account')),
                ('instrument', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='parent_orders', to='marketdata.instrument')),
                ('strategy', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='parent_orders', to='execution.strategy')),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='ParentEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('step', models.CharField(choices=[('created', 'created'), ('sent', 'slice sent'), ('returned', 'slice returned its rest'), ('planned', 'the rest was planned anew'), ('paused', 'paused'), ('resumed', 'resumed'), ('cancel_asked', 'cancel requested'), ('ended', 'ended')], max_length=12)),
                ('from_status', models.CharField(blank=True, choices=[('active', 'active'), ('paused', 'paused'), ('canceling', 'cancel requested'), ('expiring', 'window over, last orders are canceled'), ('completed', 'completed'), ('canceled', 'canceled'), ('expired', 'expired'), ('failed', 'failed')], max_length=10)),
                ('to_status', models.CharField(choices=[('active', 'active'), ('paused', 'paused'), ('canceling', 'cancel requested'), ('expiring', 'window over, last orders are canceled'), ('completed', 'completed'), ('canceled', 'canceled'), ('expired', 'expired'), ('failed', 'failed')], max_length=10)),
                ('actor', models.CharField(blank=True, db_default='', default='', help_text='user or process', max_length=150)),
                ('detail', models.JSONField(default=dict)),
                ('market_at', models.DateTimeField(help_text='market time')),
                ('created_at', models.DateTimeField(auto_now_add=True, db_default=django.db.models.functions.datetime.Now(), help_text='wall time')),
                ('parent', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='execution.parentorder')),
            ],
            options={
                'ordering': ('parent', 'id'),
            },
        ),
        migrations.AlterField(
            model_name='order',
            name='parent',
            field=models.ForeignKey(blank=True, db_index=False, help_text='the order that it is a slice of', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='execution.parentorder'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.UniqueConstraint(condition=models.Q(('parent__isnull', False)), fields=('parent', 'slice_number'), name='order_slice_unique'),
        ),
        migrations.AddField(
            model_name='slice',
            name='order',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='plan_slice', to='execution.order'),
        ),
        migrations.AddField(
            model_name='slice',
            name='parent',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='slices', to='execution.parentorder'),
        ),
        migrations.AddIndex(
            model_name='parentorder',
            index=models.Index(condition=models.Q(('status__in', ['active', 'canceling', 'expiring', 'paused'])), fields=['account', 'id'], name='parentorder_live'),
        ),
        migrations.AddIndex(
            model_name='parentorder',
            index=models.Index(fields=['account', '-id'], name='parentorder_by_account'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.UniqueConstraint(fields=('account', 'client_order_id'), name='parentorder_client_id_unique'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.UniqueConstraint(fields=('account', 'intent_key', 'attempt'), name='parentorder_attempt_unique'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.UniqueConstraint(condition=models.Q(('idempotency_key', ''), _negated=True), fields=('account', 'idempotency_key'), name='parentorder_idempotency_key_unique'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['active', 'paused', 'canceling', 'expiring', 'completed', 'canceled', 'expired', 'failed'])), name='parentorder_status_known'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('algo__in', ['twap', 'vwap'])), name='parentorder_algo_known'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('side__in', ['buy', 'sell'])), name='parentorder_side_known'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('origin__in', ['api', 'alpaca_api', 'console', 'run', 'command'])), name='parentorder_origin_known'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='parentorder_quantity_positive'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='parentorder_window_has_time'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('max_participation__gt', 0), ('max_participation__lte', 1)), name='parentorder_participation_is_a_part'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('limit_offset_bps__isnull', True), models.Q(('limit_offset_bps__gte', 0), ('limit_offset_bps__lte', Decimal('1000'))), _connector='OR'), name='parentorder_offset_in_range'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(('limit_price__isnull', True), ('limit_price__gt', 0), _connector='OR'), name='parentorder_limit_price_positive'),
        ),
        migrations.AddConstraint(
            model_name='parentorder',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', True), ('status__in', ['active', 'canceling', 'expiring', 'paused'])), models.Q(('closed_at__isnull', False), ('status__in', ['canceled', 'completed', 'expired', 'failed'])), _connector='OR'), name='parentorder_closed_at_when_over'),
        ),
        migrations.AddIndex(
            model_name='parentevent',
            index=models.Index(fields=['parent', 'id'], name='parentevent_by_parent'),
        ),
        migrations.AddConstraint(
            model_name='parentevent',
            constraint=models.CheckConstraint(condition=models.Q(('step__in', ['created', 'sent', 'returned', 'planned', 'paused', 'resumed', 'cancel_asked', 'ended'])), name='parentevent_step_known'),
        ),
        migrations.AddConstraint(
            model_name='parentevent',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.Regex(django.db.models.functions.text.Concat(models.F('from_status'), models.Value('>'), models.F('to_status')), '^(>(active)|active>(active|canceling|completed|expiring|failed|paused)|paused>(active|canceling|completed|expiring|failed|paused)|canceling>(canceled|canceling|completed)|expiring>(canceling|completed|expired|expiring))$'), name='parentevent_transition_allowed'),
        ),
        migrations.AddConstraint(
            model_name='parentevent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('from_status', ''), ('step', 'created')), models.Q(models.Q(('step', 'created'), _negated=True), models.Q(('from_status', ''), _negated=True)), _connector='OR'), name='parentevent_first_creates'),
        ),
        migrations.AddIndex(
            model_name='slice',
            index=models.Index(condition=models.Q(('status__in', ['planned', 'claimed', 'sent'])), fields=['parent', 'due_at'], name='slice_to_do'),
        ),
        migrations.AddConstraint(
            model_name='slice',
            constraint=models.UniqueConstraint(fields=('parent', 'number'), name='slice_number_unique'),
        ),
        migrations.AddConstraint(
            model_name='slice',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'claimed')), fields=('parent',), name='slice_one_claim'),
        ),
        migrations.AddConstraint(
            model_name='slice',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['planned', 'claimed', 'sent', 'done', 'returned', 'skipped'])), name='slice_status_known'),
        ),
        migrations.AddConstraint(
            model_name='slice',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0), ('quantity__lte', models.F('max_quantity'))), name='slice_quantity_within_max'),
        ),
        migrations.AddConstraint(
            model_name='slice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('claim__isnull', False), ('claimed_until__isnull', False), ('status', 'claimed')), models.Q(models.Q(('status', 'claimed'), _negated=True), ('claim__isnull', True), ('claimed_until__isnull', True)), _connector='OR'), name='slice_claim_when_claimed'),
        ),
        migrations.AddConstraint(
            model_name='slice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['sent', 'done']), _negated=True), ('order__isnull', False), _connector='OR'), name='slice_order_when_sent'),
        ),
        migrations.RunSQL(CHILD_FITS, "DROP FUNCTION portcullis_child_fits()"),
        migrations.RunSQL(CHILD_TRIGGER, "DROP TRIGGER execution_order_child_fits ON execution_order"),
        migrations.RunSQL(EVENT_TRIGGER, "DROP TRIGGER execution_parentevent_append_only ON execution_parentevent"),
    ]
