"""Events, fills, cash and closed days are history: the database refuses to alter or delete a row."""

from django.db import migrations

TABLES = (
    "execution_orderevent",
    "execution_fill",
    "execution_cashentry",
    "execution_positionadjustment",
    "execution_refusedreport",
    "execution_accountday",
    "execution_strategyday",
    "execution_paperreport",
    "execution_papercorporateaction",
)


def trigger(table: str) -> migrations.RunSQL:
    """Guard one table."""
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()",
        f"DROP TRIGGER {table}_append_only ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = (("execution", "0001_initial"), ("risk", "0002_append_only"))
    operations = tuple(trigger(table) for table in TABLES)
