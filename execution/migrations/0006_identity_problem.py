"""What is wrong with who answers at the broker, for the console."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("execution", "0005_order_total")]

    operations = [
        migrations.AddField(
            model_name="brokerlink",
            name="identity_problem",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="why nothing is sent: who answers is not who was pinned, or not one of the account's mode",
                max_length=300,
            ),
        ),
    ]
