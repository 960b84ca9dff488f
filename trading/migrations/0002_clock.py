"""What the clock and the watchdog remember."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("trading", "0001_initial"),)
    operations = ()
