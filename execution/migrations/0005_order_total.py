"""What a replacement is for in all: its shares, and what the orders before it have filled; no lock on writers for long."""

import execution.models.fields
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("execution", "0004_broker_line_checked")]

    operations = [
        migrations.AddField(
            model_name="order",
            name="total_quantity",
            field=execution.models.fields.AmountField(
                blank=True,
                decimal_places=8,
                help_text="of a successor sent as a replacement: its shares and all that the orders before it have filled",
                max_digits=20,
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="cover_quantity",
            field=execution.models.fields.AmountField(
                blank=True,
                decimal_places=8,
                help_text="shares that a successor holds instead of its own leaves, because its original's count as well",
                max_digits=20,
                null=True,
            ),
        ),
        AddConstraintNotValid(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(total_quantity__isnull=True)
                | models.Q(total_quantity__gte=models.F("quantity"), replaces__isnull=False),
                name="order_total_is_of_successor",
            ),
        ),
        ValidateConstraint(model_name="order", name="order_total_is_of_successor"),
    ]
