"""An execution is one of its order: venues have given the same execution id to several orders."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("execution", "0006_identity_problem")]

    operations = [
        migrations.RemoveConstraint(model_name="fill", name="fill_execution_unique"),
        migrations.AddConstraint(
            model_name="fill",
            constraint=models.UniqueConstraint(name="fill_execution_unique", fields=["order", "broker_execution_id"]),
        ),
        migrations.RemoveConstraint(model_name="cashentry", name="cashentry_once"),
        migrations.AddConstraint(
            model_name="cashentry",
            constraint=models.UniqueConstraint(
                name="cashentry_once", fields=["account", "kind", "reference"], condition=Q(fill__isnull=True)
            ),
        ),
        migrations.AddConstraint(
            model_name="cashentry",
            constraint=models.UniqueConstraint(
                name="cashentry_fill_once", fields=["fill", "kind"], condition=Q(fill__isnull=False)
            ),
        ),
    ]
