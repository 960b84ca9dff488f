"""Which version of the code may trade."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("risk", "0005_breaker_watch"),)
    operations = ()
