"""What the newer controls count."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("execution", "0012_halting"),)
    operations = ()
