"""Sectors of instruments."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("marketdata", "0003_broker_permissions"),)
    operations = (
        migrations.AddField(
            model_name='instrument',
            name='sector',
            field=models.CharField(blank=True, db_default='', default='', help_text='names of one sector share a limit; those without one share theirs', max_length=40),
        ),
    )
