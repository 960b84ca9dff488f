from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ops_console", "0004_login_tries")]

    operations = []
