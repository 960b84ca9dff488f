"""Which version of the code may trade."""

from importlib import import_module

from django.db import migrations, models

trigger = import_module("risk.migrations.0002_append_only").trigger


class Migration(migrations.Migration):
    dependencies = (("risk", "0005_breaker_watch"),)
    operations = (
        migrations.CreateModel(
            name="Release",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.CharField(help_text="digest of the sources, see risk.release", max_length=12)),
                ("operator", models.CharField(help_text="who started it", max_length=150)),
                ("at", models.DateTimeField(help_text="wall time")),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.CheckConstraint(condition=~models.Q(version=""), name="release_version_named"),
                ],
            },
        ),
        trigger("risk_release"),
    )
