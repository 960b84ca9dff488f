"""Sectors of instruments."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("marketdata", "0003_broker_permissions"),)
    operations = ()
