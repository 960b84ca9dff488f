from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ops_console', '0003_seen_signatures'),
    ]

    operations = [
        migrations.CreateModel(
            name='LoginTries',
            fields=[
                ('key', models.CharField(help_text='digest of name or address and window', max_length=100, primary_key=True, serialize=False)),
                ('count', models.PositiveIntegerField()),
                ('ends_at', models.DateTimeField(help_text='wall time from which it does not count any more')),
            ],
            options={
                'verbose_name_plural': 'login tries',
                'indexes': [models.Index(fields=['ends_at'], name='logintries_by_end')],
            },
        ),
    ]
