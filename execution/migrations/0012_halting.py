"""What became of a halt: cancels, verification at the broker, flattening, residue."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("execution", "0011_reconciliation"),)
    operations = ()
