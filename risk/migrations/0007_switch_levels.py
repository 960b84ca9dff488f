"""A release names the engage that it takes back, and may go down a few steps instead of all."""

from django.db import migrations, models
from django.db.models import Q

LEVELS = [
    ("active", "active (trading)"),
    ("reducing", "reduce only"),
    ("halted", "halted"),
    ("flattening", "halted, closing positions"),
]


class Migration(migrations.Migration):
    dependencies = (("risk", "0006_releases"),)
    operations = (
        migrations.AddField(
            model_name="killswitchevent",
            name="releases",
            field=models.BigIntegerField(
                null=True,
                blank=True,
                help_text="of a release: the last engage it takes back; those after it stay in force",
            ),
        ),
        migrations.AddField(
            model_name="releaserequest",
            name="event_id",
            field=models.BigIntegerField(
                default=0, help_text="the last engage it would release; 0 when none is stored"
            ),
        ),
        migrations.AddField(
            model_name="releaserequest",
            name="to_level",
            field=models.CharField(
                max_length=10, choices=LEVELS, default="active", help_text="what is to be in force then"
            ),
        ),
        migrations.AddConstraint(
            model_name="killswitchevent",
            constraint=models.CheckConstraint(
                name="killswitch_only_releases_release", condition=Q(engaged=False) | Q(releases__isnull=True)
            ),
        ),
        migrations.AddConstraint(
            model_name="releaserequest",
            constraint=models.CheckConstraint(
                name="releaserequest_goes_down", condition=Q(to_level__in=["active", "reducing", "halted"])
            ),
        ),
    )
