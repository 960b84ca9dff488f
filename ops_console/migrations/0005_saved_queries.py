import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ops_console", "0004_login_tries"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SavedQuery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80)),
                ('text', models.TextField(max_length=20000)),
                ('created_at', models.DateTimeField(help_text='wall time')),
                ('updated_at', models.DateTimeField(help_text='wall time')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_queries', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'saved queries',
                'ordering': ('name', 'owner'),
                'constraints': [models.UniqueConstraint(fields=('owner', 'name'), name='savedquery_name_unique'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='savedquery_name_given'), models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='savedquery_text_given'), models.CheckConstraint(condition=models.Q(('text__length__lte', 20000)), name='savedquery_text_bounded')],
            },
        ),
    ]
