"""Long work: its table, and a trigger that lets a job move only along the table of moves.

What was asked for stays as it was asked, what is over stays as it ended, and only what is over may be deleted.
"""

import django.db.models.functions.datetime
from django.db import migrations, models

MOVES = {
    "queued": ("running", "canceled", "failed"),
    "running": ("queued", "completed", "failed", "canceled"),
}
ALLOWED = " OR ".join(
    f"(OLD.state = '{before}' AND NEW.state IN ({', '.join(repr(after) for after in allowed)}))"
    for before, allowed in MOVES.items()
)
CREATE_FUNCTION = f"""
CREATE FUNCTION portcullis_job_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'queued' THEN
            RAISE EXCEPTION 'a job begins queued, not %', NEW.state
                USING ERRCODE = 'check_violation', CONSTRAINT = 'job_begins_queued';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF OLD.state IN ('queued', 'running') THEN
            RAISE EXCEPTION 'job % is %: only what is over is deleted', OLD.id, OLD.state
                USING ERRCODE = 'check_violation', CONSTRAINT = 'job_deleted_when_over';
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.kind, NEW.parameters, NEW.asked_by, NEW.asked_at, NEW.idempotency_key)
       IS DISTINCT FROM (OLD.kind, OLD.parameters, OLD.asked_by, OLD.asked_at, OLD.idempotency_key)
       OR (OLD.state NOT IN ('queued', 'running')
           AND (NEW.result, NEW.error, NEW.finished_at) IS DISTINCT FROM (OLD.result, OLD.error, OLD.finished_at)) THEN
        RAISE EXCEPTION 'job %: what was asked for and how it ended are kept', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'job_wish_and_end_kept';
    END IF;
    IF NEW.state <> OLD.state AND NOT ({ALLOWED}) THEN
        RAISE EXCEPTION 'job % is % and cannot become %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'job_move_allowed';
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = (
    "CREATE TRIGGER trading_job_moves BEFORE INSERT OR UPDATE OR DELETE ON trading_job "
    "FOR EACH ROW EXECUTE FUNCTION portcullis_job_moves()"
)


class Migration(migrations.Migration):
    dependencies = [("trading", "0002_clock")]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.SlugField(db_index=False, help_text='A name of the table of kinds.', max_length=32)),
                ('parameters', models.JSONField(help_text='As they were read when it was asked for.')),
                ('state', models.CharField(choices=[('queued', 'queued'), ('running', 'running'), ('completed', 'completed'), ('failed', 'failed'), ('canceled', 'canceled')], default='queued', max_length=10)),
                ('done', models.PositiveBigIntegerField(default=0)),
                ('total', models.PositiveBigIntegerField(default=0, help_text='0 while it is not known.')),
                ('what', models.CharField(blank=True, default='', help_text='What is being done.', max_length=120)),
                ('told_at', models.DateTimeField(blank=True, help_text='When progress was told last; wall time.', null=True)),
                ('asked_by', models.CharField(max_length=150)),
                ('asked_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='Wall time.')),
                ('idempotency_key', models.CharField(blank=True, max_length=128, null=True)),
                ('cancel_asked_by', models.CharField(blank=True, default='', max_length=150)),
                ('cancel_asked_at', models.DateTimeField(blank=True, help_text='Wall time.', null=True)),
                ('claim', models.UUIDField(blank=True, help_text='Fence of whoever works on it.', null=True)),
                ('claimed_until', models.DateTimeField(blank=True, help_text='Wall time the lease ends.', null=True)),
                ('attempts', models.PositiveIntegerField(default=0, help_text='How often it was begun.')),
                ('started_at', models.DateTimeField(blank=True, help_text='Of the newest attempt; wall time.', null=True)),
                ('finished_at', models.DateTimeField(blank=True, help_text='Wall time.', null=True)),
                ('result', models.JSONField(blank=True, null=True)),
                ('error', models.CharField(blank=True, default='', help_text='Why it failed.', max_length=500)),
                ('log', models.TextField(blank=True, default='', help_text='The end of what its process wrote.')),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(condition=models.Q(('state', 'queued')), fields=['id'], name='job_waiting'), models.Index(condition=models.Q(('state', 'running')), fields=['claimed_until'], name='job_leased'), models.Index(fields=['kind', '-id'], name='job_by_kind')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'completed', 'failed', 'canceled'])), name='job_state_known'), models.CheckConstraint(condition=models.Q(models.Q(('claim__isnull', False), ('claimed_until__isnull', False), ('started_at__isnull', False), ('state', 'running')), models.Q(models.Q(('state', 'running'), _negated=True), ('claim__isnull', True), ('claimed_until__isnull', True)), _connector='OR'), name='job_running_is_claimed'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ['canceled', 'completed', 'failed'])), models.Q(models.Q(('state__in', ['canceled', 'completed', 'failed']), _negated=True), ('finished_at__isnull', True)), _connector='OR'), name='job_finished_when_over'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), models.Q(('error', ''), _negated=True)), models.Q(models.Q(('state', 'failed'), _negated=True), ('error', '')), _connector='OR'), name='job_failed_says_why'), models.CheckConstraint(condition=models.Q(models.Q(('result__isnull', False), ('state', 'completed')), models.Q(models.Q(('state', 'completed'), _negated=True), ('result__isnull', True)), _connector='OR'), name='job_result_when_completed'), models.CheckConstraint(condition=models.Q(models.Q(('cancel_asked_at__isnull', True), ('cancel_asked_by', '')), models.Q(models.Q(('cancel_asked_by', ''), _negated=True), ('cancel_asked_at__isnull', False)), _connector='OR'), name='job_cancel_has_name_and_time'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'canceled'), _negated=True), ('cancel_asked_at__isnull', False), _connector='OR'), name='job_canceled_was_asked_for'), models.CheckConstraint(condition=models.Q(('total', 0), ('done__lte', models.F('total')), _connector='OR'), name='job_done_within_total'), models.CheckConstraint(condition=models.Q(('asked_by', ''), _negated=True), name='job_asked_by_somebody'), models.UniqueConstraint(fields=('asked_by', 'kind', 'idempotency_key'), name='job_asked_once')],
            },
        ),
        migrations.RunSQL(CREATE_FUNCTION, "DROP FUNCTION portcullis_job_moves()"),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER trading_job_moves ON trading_job"),
    ]
