"""Overrides of limits that another person approved, and what the newer controls remember."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("risk", "0003_alerts_and_levels"),)
    operations = ()
