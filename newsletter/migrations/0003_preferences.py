import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Readers choose daily, weekly, reminder; an edition has a kind; an address may belong to a volunteer."""

    dependencies = [
        ('collector', '0004_upload_hint'),
        ('newsletter', '0002_mended'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='edition',
            name='one_edition_a_day',
        ),
        migrations.AddField(
            model_name='edition',
            name='kind',
            field=models.CharField(choices=[('daily', 'daily'), ('weekly', 'weekly'), ('reminder', 'reminder of the challenge, without photos')], default='daily', max_length=8),
        ),
        migrations.AddField(
            model_name='subscriber',
            name='volunteer',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='subscriptions', to='collector.volunteer'),
        ),
        migrations.AddField(
            model_name='subscriber',
            name='wants_daily',
            field=models.BooleanField(default=True, help_text='an edition a day'),
        ),
        migrations.AddField(
            model_name='subscriber',
            name='wants_reminder',
            field=models.BooleanField(default=False, help_text='the challenge of the day, in the morning'),
        ),
        migrations.AddField(
            model_name='subscriber',
            name='wants_weekly',
            field=models.BooleanField(default=False, help_text='an edition a week'),
        ),
        migrations.AddConstraint(
            model_name='edition',
            constraint=models.UniqueConstraint(fields=('recognizer', 'day', 'kind'), name='one_edition_a_day_and_kind'),
        ),
    ]
