"""A line to a broker over a network, what it tells; groups of orders and successors.

Constraints on tables in use are added without a look at their rows, which the next migration takes without a lock on
writers; nothing waits long for a lock here.
"""

import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
import execution.models.fields
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0002_append_only'),
        ('marketdata', '0001_initial'),
        ('risk', '0002_append_only'),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='BrokerLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pinned_account_id', models.CharField(blank=True, default='', max_length=64)),
                ('pinned_account_number', models.CharField(blank=True, default='', max_length=64)),
                ('pinned_key', models.CharField(blank=True, default='', help_text="SHA-256 of the key's id", max_length=64)),
                ('pinned_at', models.DateTimeField(blank=True, null=True)),
                ('message_count', models.BigIntegerField(db_default=0, default=0, help_text='sequence of the newest message')),
                ('stream', models.CharField(choices=[('down', 'not connected'), ('connecting', 'connecting'), ('live', 'connected and heard'), ('mute', 'connected, but silent about what REST tells'), ('refused', 'the broker refuses the connection')], db_default='down', default='down', max_length=12)),
                ('stream_since', models.DateTimeField(blank=True, null=True)),
                ('stream_problem', models.CharField(blank=True, default='', max_length=300)),
                ('heard_at', models.DateTimeField(blank=True, help_text='the newest frame or pong of the stream', null=True)),
                ('polled_at', models.DateTimeField(blank=True, help_text='the newest cross-check by REST that succeeded', null=True)),
                ('poll_problem', models.CharField(blank=True, default='', max_length=300)),
                ('backfilled_until', models.DateTimeField(blank=True, help_text='market time at the broker up to which executions are known', null=True)),
                ('trading_blocked', models.BooleanField(default=False, help_text='by the broker')),
                ('suspended', models.BooleanField(blank=True, help_text="orders are refused by the owner's own request", null=True)),
                ('suspended_by_us', models.BooleanField(default=False, help_text='set with the kill switch: the second lock')),
                ('suspend_problem', models.CharField(blank=True, default='', max_length=300)),
                ('suspend_checked_at', models.DateTimeField(blank=True, null=True)),
                ('clock_skew_milliseconds', models.IntegerField(blank=True, help_text="the broker's clock minus ours", null=True)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='BrokerMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sequence', models.BigIntegerField()),
                ('key', models.CharField(max_length=200)),
                ('source', models.CharField(choices=[('stream', 'the stream'), ('poll', 'a look by REST'), ('webhook', 'a webhook')], max_length=8)),
                ('kind', models.CharField(blank=True, default='', help_text='of the report; empty is none', max_length=20)),
                ('client_order_id', models.CharField(blank=True, default='', max_length=128)),
                ('broker_order_id', models.CharField(blank=True, default='', max_length=64)),
                ('broker_execution_id', models.CharField(blank=True, default='', max_length=96)),
                ('at', models.DateTimeField(help_text='market time at the broker')),
                ('quantity', execution.models.fields.AmountField(blank=True, decimal_places=8, max_digits=20, null=True)),
                ('price', execution.models.fields.AmountField(blank=True, decimal_places=8, max_digits=20, null=True)),
                ('fee', execution.models.fields.AmountField(blank=True, decimal_places=8, max_digits=20, null=True)),
                ('cumulative_quantity', execution.models.fields.AmountField(blank=True, decimal_places=8, max_digits=20, null=True)),
                ('reason', models.CharField(blank=True, default='', max_length=300)),
                ('payload', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, help_text='as it came')),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='order_status_known',
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='order_closed_at_when_terminal',
        ),
        migrations.RemoveConstraint(
            model_name='orderevent',
            name='orderevent_transition_allowed',
        ),
        migrations.RemoveConstraint(
            model_name='paperorder',
            name='paperorder_status_agrees_with_fills',
        ),
        migrations.RemoveConstraint(
            model_name='paperreport',
            name='paperreport_fill_has_numbers',
        ),
        migrations.AddField(
            model_name='order',
            name='cover_quantity',
            field=execution.models.fields.AmountField(blank=True, decimal_places=8, help_text='shares that a successor holds for the original too while its replacement is open', max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='entry',
            field=models.ForeignKey(blank=True, db_index=False, help_text="of a leg: the order whose fill lets it work (an OCO's: the order it works beside)", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='legs', to='execution.order'),
        ),
        migrations.AddField(
            model_name='order',
            name='leg_role',
            field=models.CharField(blank=True, choices=[('take_profit', 'take profit'), ('stop_loss', 'stop loss')], db_default='', default='', max_length=12),
        ),
        migrations.AddField(
            model_name='order',
            name='order_class',
            field=models.CharField(blank=True, choices=[('bracket', 'bracket (entry, take profit, stop loss)'), ('oco', 'one cancels the other'), ('oto', 'one triggers the other')], db_default='', default='', max_length=8),
        ),
        migrations.AddField(
            model_name='order',
            name='replaces',
            field=models.ForeignKey(blank=True, db_index=False, help_text='the order whose terms this one changes; both live until the broker says which', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='successors', to='execution.order'),
        ),
        migrations.AddField(
            model_name='paperorder',
            name='entry',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='legs', to='execution.paperorder'),
        ),
        migrations.AddField(
            model_name='paperorder',
            name='leg_role',
            field=models.CharField(blank=True, db_default='', default='', max_length=12),
        ),
        migrations.AddField(
            model_name='paperorder',
            name='order_class',
            field=models.CharField(blank=True, db_default='', default='', max_length=8),
        ),
        migrations.AddField(
            model_name='paperorder',
            name='replaces',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='successors', to='execution.paperorder'),
        ),
        migrations.AlterField(
            model_name='order',
            name='status',
            field=models.CharField(choices=[('pending', 'pending (stored, not sent)'), ('held', 'held (waits for its entry to fill)'), ('denied', 'denied (our risk)'), ('submitted', 'submitted (sent, no answer yet)'), ('accepted', 'accepted'), ('partially_filled', 'partially filled'), ('filled', 'filled'), ('pending_cancel', 'cancel requested'), ('canceled', 'canceled'), ('pending_replace', 'replace requested'), ('replaced', 'replaced'), ('expired', 'expired'), ('rejected', 'rejected (broker)'), ('dry_run', 'dry run (would have been sent)')], max_length=16),
        ),
        migrations.AlterField(
            model_name='orderevent',
            name='from_status',
            field=models.CharField(blank=True, choices=[('pending', 'pending (stored, not sent)'), ('held', 'held (waits for its entry to fill)'), ('denied', 'denied (our risk)'), ('submitted', 'submitted (sent, no answer yet)'), ('accepted', 'accepted'), ('partially_filled', 'partially filled'), ('filled', 'filled'), ('pending_cancel', 'cancel requested'), ('canceled', 'canceled'), ('pending_replace', 'replace requested'), ('replaced', 'replaced'), ('expired', 'expired'), ('rejected', 'rejected (broker)'), ('dry_run', 'dry run (would have been sent)')], max_length=16),
        ),
        migrations.AlterField(
            model_name='orderevent',
            name='to_status',
            field=models.CharField(choices=[('pending', 'pending (stored, not sent)'), ('held', 'held (waits for its entry to fill)'), ('denied', 'denied (our risk)'), ('submitted', 'submitted (sent, no answer yet)'), ('accepted', 'accepted'), ('partially_filled', 'partially filled'), ('filled', 'filled'), ('pending_cancel', 'cancel requested'), ('canceled', 'canceled'), ('pending_replace', 'replace requested'), ('replaced', 'replaced'), ('expired', 'expired'), ('rejected', 'rejected (broker)'), ('dry_run', 'dry run (would have been sent)')], max_length=16),
        ),
        migrations.AlterField(
            model_name='paperorder',
            name='status',
            field=models.CharField(choices=[('held', 'held'), ('accepted', 'accepted'), ('partially_filled', 'partially filled'), ('filled', 'filled'), ('canceled', 'canceled'), ('expired', 'expired'), ('replaced', 'replaced')], default='accepted', max_length=16),
        ),
        migrations.AlterField(
            model_name='paperreport',
            name='kind',
            field=models.CharField(choices=[('accepted', 'accepted'), ('fill', 'fill'), ('canceled', 'canceled'), ('expired', 'expired'), ('replaced', 'replaced')], max_length=12),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('status__regex', '^(accepted|canceled|denied|dry_run|expired|filled|held|partially_filled|pending|pending_cancel|pending_replace|rejected|replaced|submitted)$')), name='order_status_known'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', True), ('status__regex', '^(accepted|held|partially_filled|pending|pending_cancel|pending_replace|submitted)$')), models.Q(('closed_at__isnull', False), ('status__regex', '^(canceled|denied|dry_run|expired|filled|rejected|replaced)$')), _connector='OR'), name='order_closed_at_when_terminal'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('order_class', ''), ('order_class__in', ['bracket', 'oco', 'oto']), _connector='OR'), name='order_class_known'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('entry__isnull', True), ('leg_role', '')), models.Q(('entry__isnull', False), ('leg_role__in', ['take_profit', 'stop_loss']), models.Q(('order_class', ''), _negated=True)), _connector='OR'), name='order_leg_has_entry'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('cover_quantity__isnull', True), models.Q(('cover_quantity__gt', 0), ('replaces__isnull', False)), _connector='OR'), name='order_cover_is_of_successor'),
        ),
        AddConstraintNotValid(
            model_name='orderevent',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.Regex(django.db.models.functions.text.Concat(models.F('from_status'), models.Value('>'), models.F('to_status')), '^(>(denied|held|pending)|pending>(canceled|denied|dry_run|expired|replaced|submitted)|held>(accepted|canceled|denied|dry_run|expired|filled|partially_filled|pending_cancel|rejected)|submitted>(accepted|canceled|expired|filled|partially_filled|pending|pending_cancel|rejected|replaced)|accepted>(canceled|expired|filled|partially_filled|pending_cancel|pending_replace|rejected|replaced)|partially_filled>(canceled|expired|filled|partially_filled|pending_cancel|pending_replace|rejected|replaced)|pending_cancel>(accepted|canceled|expired|filled|partially_filled|pending_cancel|rejected|replaced)|pending_replace>(accepted|canceled|expired|filled|partially_filled|pending_cancel|pending_replace|rejected|replaced)|canceled>(canceled|filled)|expired>(expired|filled)|rejected>(filled|rejected)|replaced>(filled|replaced))$'), name='orderevent_transition_allowed'),
        ),
        AddConstraintNotValid(
            model_name='paperorder',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('filled_quantity', 0), ('status__in', ['accepted', 'held'])), models.Q(('filled_quantity__gt', 0), ('filled_quantity__lt', models.F('quantity')), ('status', 'partially_filled')), models.Q(('filled_quantity', models.F('quantity')), ('status', 'filled')), models.Q(('filled_quantity__gte', 0), ('filled_quantity__lt', models.F('quantity')), ('status__in', ['canceled', 'expired', 'replaced'])), _connector='OR'), name='paperorder_status_agrees_with_fills'),
        ),
        AddConstraintNotValid(
            model_name='paperorder',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('entry__isnull', True), ('leg_role', '')), models.Q(('entry__isnull', False), ('leg_role__in', ['take_profit', 'stop_loss']), models.Q(('order_class', ''), _negated=True)), _connector='OR'), name='paperorder_leg_has_entry'),
        ),
        AddConstraintNotValid(
            model_name='paperorder',
            constraint=models.CheckConstraint(condition=models.Q(('order_class__in', ['', 'bracket', 'oco', 'oto'])), name='paperorder_class_known'),
        ),
        AddConstraintNotValid(
            model_name='paperreport',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('broker_execution_id__isnull', False), ('fee__gte', 0), ('fee__isnull', False), ('kind', 'fill'), ('price__gt', 0), ('price__isnull', False), ('quantity__gt', 0), ('quantity__isnull', False)), models.Q(('broker_execution_id__isnull', True), ('fee__isnull', True), ('kind__in', ['accepted', 'canceled', 'expired', 'replaced']), ('price__isnull', True), ('quantity__isnull', True)), _connector='OR'), name='paperreport_fill_has_numbers'),
        ),
        migrations.AddField(
            model_name='brokerlink',
            name='account',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='broker_link', to='execution.account'),
        ),
        migrations.AddField(
            model_name='brokermessage',
            name='account',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='broker_messages', to='execution.account'),
        ),
        migrations.AddConstraint(
            model_name='brokerlink',
            constraint=models.CheckConstraint(condition=models.Q(('stream__in', ['down', 'connecting', 'live', 'mute', 'refused'])), name='brokerlink_stream_known'),
        ),
        migrations.AddConstraint(
            model_name='brokerlink',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('pinned_account_id', ''), ('pinned_account_number', ''), ('pinned_at__isnull', True)), models.Q(('pinned_at__isnull', False), models.Q(('pinned_account_id', ''), _negated=True), models.Q(('pinned_account_number', ''), _negated=True)), _connector='OR'), name='brokerlink_pinned_whole'),
        ),
        migrations.AddIndex(
            model_name='brokermessage',
            index=models.Index(fields=['account', 'broker_order_id'], name='brokermessage_by_order'),
        ),
        migrations.AddConstraint(
            model_name='brokermessage',
            constraint=models.UniqueConstraint(fields=('account', 'sequence'), name='brokermessage_sequence_unique'),
        ),
        migrations.AddConstraint(
            model_name='brokermessage',
            constraint=models.UniqueConstraint(fields=('account', 'key'), name='brokermessage_once'),
        ),
        migrations.AddConstraint(
            model_name='brokermessage',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['stream', 'poll', 'webhook'])), name='brokermessage_source_known'),
        ),
        migrations.AddConstraint(
            model_name='brokermessage',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'fill'), _negated=True), models.Q(('cumulative_quantity__isnull', False), ('price__gt', 0), ('quantity__gt', 0), models.Q(('broker_execution_id', ''), _negated=True)), _connector='OR'), name='brokermessage_fill_has_numbers'),
        ),
    ]
