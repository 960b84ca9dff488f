"""Decisions and changes of trading state are history: the database refuses to alter or delete a row."""

from django.db import migrations

TABLES = ("risk_killswitchevent", "risk_breakerevent", "risk_limitchange", "risk_decision")

CREATE_FUNCTION = """
CREATE OR REPLACE FUNCTION portcullis_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def trigger(table: str) -> migrations.RunSQL:
    """Guard one table."""
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION portcullis_append_only()",
        f"DROP TRIGGER {table}_append_only ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = (("risk", "0001_initial"),)
    operations = (
        migrations.RunSQL(CREATE_FUNCTION, "DROP FUNCTION portcullis_append_only()"),
        *(trigger(table) for table in TABLES),
    )
