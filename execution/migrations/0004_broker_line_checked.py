"""Indexes without a lock on writers, a look at the rows that were there before the constraints; messages are history."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("execution", "0003_broker_line")]

    operations = [
        RemoveIndexConcurrently(
            model_name='order',
            name='order_open',
        ),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('status__in', ['accepted', 'held', 'partially_filled', 'pending', 'pending_cancel', 'pending_replace', 'submitted'])), fields=['account', 'id'], name='order_open'),
        ),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('entry__isnull', False)), fields=['entry'], name='order_legs'),
        ),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('replaces__isnull', False)), fields=['replaces'], name='order_successors'),
        ),
        AddIndexConcurrently(
            model_name='paperorder',
            index=models.Index(condition=models.Q(('entry__isnull', False)), fields=['entry'], name='paperorder_legs'),
        ),
        ValidateConstraint(model_name="order", name="order_status_known"),
        ValidateConstraint(model_name="order", name="order_closed_at_when_terminal"),
        ValidateConstraint(model_name="order", name="order_class_known"),
        ValidateConstraint(model_name="order", name="order_leg_has_entry"),
        ValidateConstraint(model_name="order", name="order_cover_is_of_successor"),
        ValidateConstraint(model_name="orderevent", name="orderevent_transition_allowed"),
        ValidateConstraint(model_name="paperorder", name="paperorder_status_agrees_with_fills"),
        ValidateConstraint(model_name="paperorder", name="paperorder_leg_has_entry"),
        ValidateConstraint(model_name="paperorder", name="paperorder_class_known"),
        ValidateConstraint(model_name="paperreport", name="paperreport_fill_has_numbers"),
        migrations.RunSQL(
            "CREATE TRIGGER execution_brokermessage_append_only BEFORE UPDATE OR DELETE ON execution_brokermessage "
            "FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()",
            "DROP TRIGGER execution_brokermessage_append_only ON execution_brokermessage",
        ),
    ]
