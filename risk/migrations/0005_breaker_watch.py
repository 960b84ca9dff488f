"""What the breaker watches by itself."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("risk", "0004_overrides"),)
    operations = ()
