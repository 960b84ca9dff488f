"""Parent orders and their slices."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("execution", "0009_alerts_and_levels"),)
    operations = ()
