import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Rows are claimed many at once, domains have a pace, a sending can be paused and cancelled, providers name a mail."""

    dependencies = [
        ('newsletter', '0006_schedules'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='DomainPace',
            fields=[
                ('domain', models.CharField(max_length=254, primary_key=True, serialize=False)),
                ('next_at', models.DateTimeField(help_text='the next mail is due then; a burst may be ahead of it by a second')),
                ('promised_at', models.DateTimeField(help_text='rows that had to wait were put off until then, one behind another')),
                ('refusals', models.PositiveSmallIntegerField(default=0, help_text='421 or 452 in a row; one mail on trial until one is taken')),
                ('closed_until', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Intervention',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('verb', models.CharField(choices=[('pause', 'paused'), ('resume', 'resumed'), ('cancel', 'cancelled')], max_length=8)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('note', models.CharField(blank=True, help_text='how many rows it met', max_length=200)),
            ],
            options={
                'ordering': ['at', 'pk'],
            },
        ),
        migrations.AddField(
            model_name='delivery',
            name='claim',
            field=models.UUIDField(blank=True, editable=False, help_text='whose turn it is while it is queued', null=True),
        ),
        migrations.AddField(
            model_name='delivery',
            name='provider_id',
            field=models.CharField(blank=True, help_text="the provider's name of it, for webhooks", max_length=200),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='claimed_at',
            field=models.DateTimeField(blank=True, help_text='handing it over began then', null=True),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='not_before',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='not sent before then: refused, paced or claimed'),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='state',
            field=models.CharField(choices=[('queued', 'queued'), ('sending', 'handed to the mail server, no answer yet'), ('sent', 'the mail server took it'), ('failed', 'refused for good'), ('unknown', 'the answer was lost: it may or may not have arrived'), ('suppressed', 'the subscriber had left by then'), ('cancelled', 'the edition was cancelled before its turn came')], default='queued', max_length=10),
        ),
        migrations.AlterField(
            model_name='edition',
            name='state',
            field=models.CharField(choices=[('draft', 'draft, an editor may change it'), ('frozen', 'approved and frozen, being sent'), ('paused', 'frozen, sending is paused'), ('cancelled', 'frozen, the rest is not sent'), ('sent', 'sent')], default='draft', max_length=10),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'sending')), fields=['claimed_at'], name='delivery_in_flight'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('provider_id', ''), _negated=True), fields=['provider_id'], name='delivery_provider'),
        ),
        migrations.AddField(
            model_name='intervention',
            name='by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='intervention',
            name='edition',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='interventions', to='newsletter.edition'),
        ),
    ]
