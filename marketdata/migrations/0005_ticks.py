import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0004_sectors")]

    operations = [
        migrations.CreateModel(
            name='TickLoss',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(choices=[('buffer_full', 'more arrived than could be written'), ('not_written', 'the disk did not take them')], max_length=12)),
                ('day', models.DateField(help_text='day of the wall, UTC')),
                ('count', models.PositiveBigIntegerField()),
                ('first_at', models.DateTimeField(help_text='wall time')),
                ('last_at', models.DateTimeField(help_text='wall time')),
                ('feed', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tick_losses', to='marketdata.feed')),
            ],
            options={
                'verbose_name_plural': 'tick losses',
                'ordering': ('-day', 'feed', 'reason'),
                'constraints': [models.UniqueConstraint(fields=('feed', 'reason', 'day'), name='tickloss_once_a_day'), models.CheckConstraint(condition=models.Q(('reason__in', ['buffer_full', 'not_written'])), name='tickloss_reason_known'), models.CheckConstraint(condition=models.Q(('count__gt', 0)), name='tickloss_counts'), models.CheckConstraint(condition=models.Q(('last_at__gte', models.F('first_at'))), name='tickloss_in_order')],
            },
        ),
    ]
