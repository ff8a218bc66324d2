import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models


def requests_of_pending(apps, schema_editor):
    """Who had asked and not yet confirmed: their request takes over the subscriber's id, which their mail's link names."""
    Request, Subscriber = (apps.get_model('newsletter', name) for name in ('Request', 'Subscriber'))
    pending = Subscriber.objects.filter(state='pending')
    Request.objects.bulk_create(
        (
            Request(
                id=row.pk,
                subscriber=row,
                wants_daily=row.wants_daily,
                wants_weekly=row.wants_weekly,
                wants_reminder=row.wants_reminder,
                asked_at=row.asked_at,
                confirmation_due=row.confirmation_due,
            )
            for row in pending.iterator()
        ),
        batch_size=500,
    )
    if schema_editor.connection.vendor == 'postgresql':
        # It alters no table that has rows whose foreign keys are still to be checked.
        schema_editor.execute('SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED')


def known_suppressions(apps, schema_editor):
    """Until now only an operator suppressed."""
    from collector.limits import hashed

    Subscriber, Suppression = (apps.get_model('newsletter', name) for name in ('Subscriber', 'Suppression'))
    emails = Subscriber.objects.filter(state='suppressed').values_list('email', flat=True).distinct()
    rows = (Suppression(digest=hashed(email), reason='operator') for email in emails.iterator())
    Suppression.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)


class Migration(migrations.Migration):
    """A request of its own for each time somebody asks; suppressed addresses by their hash; what providers say of mails.

    A delivery outlives its reader's row, so that an edition's counts stay true.
    """

    dependencies = [
        ('collector', '0004_upload_hint'),
        ('newsletter', '0007_delivery'),
    ]

    operations = [
        migrations.CreateModel(
            name='MailEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=40)),
                ('event_id', models.CharField(max_length=128)),
                ('digest', models.CharField(max_length=32)),
                ('kind', models.CharField(choices=[('hard', 'bounced: no such mailbox'), ('soft', 'bounced for a reason that may pass'), ('complaint', 'reported as spam'), ('unsubscribed', 'left at the provider')], max_length=12)),
                ('happened_at', models.DateTimeField(help_text="by the provider's clock, never later than ours")),
                ('noted_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name='Request',
            fields=[
                ('wants_daily', models.BooleanField(default=True, help_text='an edition a day')),
                ('wants_weekly', models.BooleanField(default=False, help_text='an edition a week')),
                ('wants_reminder', models.BooleanField(default=False, help_text='the challenge of the day, in the morning')),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('confirmation_due', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(editable=False, max_length=32, unique=True)),
                ('reason', models.CharField(choices=[('erased', 'its owner had it erased: an import must not bring it back'), ('faded', 'many temporary bounces'), ('bounce', 'there is no such mailbox'), ('operator', 'an operator stopped it'), ('complaint', 'its owner reported a mail as spam')], max_length=10)),
                ('since', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='subscriber',
            name='confirmation_waits',
        ),
        migrations.AddField(
            model_name='subscriber',
            name='consent',
            field=models.CharField(blank=True, editable=False, help_text='imported: where and when they agreed', max_length=300),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='subscriber',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='deliveries', to='newsletter.subscriber'),
        ),
        migrations.AddIndex(
            model_name='subscriber',
            index=models.Index(fields=['email'], name='subscriber_email'),
        ),
        migrations.AddIndex(
            model_name='mailevent',
            index=models.Index(fields=['digest', 'kind', 'happened_at'], name='event_address'),
        ),
        migrations.AddIndex(
            model_name='mailevent',
            index=models.Index(fields=['noted_at'], name='event_age'),
        ),
        migrations.AddConstraint(
            model_name='mailevent',
            constraint=models.UniqueConstraint(fields=('provider', 'event_id', 'digest'), name='one_event_once'),
        ),
        migrations.AddField(
            model_name='request',
            name='subscriber',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='requests', to='newsletter.subscriber'),
        ),
        migrations.AddField(
            model_name='request',
            name='volunteer',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='subscription_requests', to='collector.volunteer'),
        ),
        migrations.AddIndex(
            model_name='request',
            index=models.Index(condition=models.Q(('confirmation_due__isnull', False)), fields=['confirmation_due'], name='confirmation_waits'),
        ),
        migrations.AddIndex(
            model_name='request',
            index=models.Index(fields=['asked_at'], name='request_age'),
        ),
        migrations.AddConstraint(
            model_name='request',
            constraint=models.UniqueConstraint(fields=('subscriber', 'volunteer'), name='one_request_a_volunteer'),
        ),
        migrations.AddConstraint(
            model_name='request',
            constraint=models.UniqueConstraint(condition=models.Q(('volunteer__isnull', True)), fields=('subscriber',), name='one_request_of_the_web'),
        ),
        migrations.RunPython(requests_of_pending, migrations.RunPython.noop),
        migrations.RunPython(known_suppressions, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='subscriber',
            name='confirmation_due',
        ),
    ]
