"""Reconciliation runs, breaks and forced completion."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("execution", "0010_slicing"),)
    operations = ()
