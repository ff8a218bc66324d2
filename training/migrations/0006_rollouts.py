import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


def remember(apps, schema_editor):
    """Releases that a channel offered to all before: what it can go back to, and what phones get that newer ones are not for."""
    Release, Benchmark = apps.get_model('training', 'Release'), apps.get_model('training', 'Benchmark')
    for channel in apps.get_model('training', 'Channel').objects.select_related('release__rolls_back_to', 'previous'):
        release = channel.release.rolls_back_to or channel.release
        highest = channel.previous.version if channel.rollout < 100 and channel.previous else release.version - 1
        older = Release.objects.filter(recognizer=channel.recognizer_id, state='published', version__lte=highest)
        channel.earlier.set(older)
    Benchmark.objects.update(first_at=models.F('reported_at'))


class Migration(migrations.Migration):

    dependencies = [
        ('collector', '0003_existing_photos'),
        ('training', '0005_worth_of_test_photos'),
    ]

    operations = [
        migrations.CreateModel(
            name='Move',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('by', models.CharField(help_text="a user's name, a command's, a night's, or “automatic”", max_length=150)),
                ('verb', models.CharField(max_length=20)),
                ('before', models.JSONField(help_text='what the channel offered: versions and shares')),
                ('after', models.JSONField()),
                ('why', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.AddField(
            model_name='benchmark',
            name='answers',
            field=models.PositiveIntegerField(blank=True, help_text='answers of this file that the user saw', null=True),
        ),
        migrations.AddField(
            model_name='benchmark',
            name='cold_start_ms',
            field=models.FloatField(blank=True, help_text='from opening the file to the first answer', null=True),
        ),
        migrations.AddField(
            model_name='benchmark',
            name='corrections',
            field=models.PositiveIntegerField(blank=True, help_text='how many of them the user corrected', null=True),
        ),
        migrations.AddField(
            model_name='benchmark',
            name='first_at',
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.AddField(
            model_name='benchmark',
            name='platform',
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.AddField(
            model_name='benchmark',
            name='source',
            field=models.CharField(blank=True, editable=False, max_length=4),
        ),
        migrations.AddField(
            model_name='benchmark',
            name='tier',
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.AddField(
            model_name='channel',
            name='arm',
            field=models.ForeignKey(blank=True, help_text='tried by half of the devices that take part', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.release'),
        ),
        migrations.AddField(
            model_name='channel',
            name='arm_number',
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='channel',
            name='arm_percent',
            field=models.PositiveSmallIntegerField(default=0, help_text='percent of devices that take part, half of them as control'),
        ),
        migrations.AddField(
            model_name='channel',
            name='automatic',
            field=models.BooleanField(default=False, help_text='new releases begin at the first step and go on by themselves while they are not worse'),
        ),
        migrations.AddField(
            model_name='channel',
            name='earlier',
            field=models.ManyToManyField(editable=False, help_text='complete releases: for phones that newer ones are not for', related_name='+', to='training.release'),
        ),
        migrations.AddField(
            model_name='channel',
            name='paused',
            field=models.BooleanField(default=False, help_text='the ramp does not go on by itself; it is still halted if it is worse'),
        ),
        migrations.AddField(
            model_name='channel',
            name='watched_at',
            field=models.DateTimeField(editable=False, help_text='when the reports were last looked at', null=True),
        ),
        migrations.AddField(
            model_name='release',
            name='platforms',
            field=models.JSONField(blank=True, default=list, help_text='only for these, e.g. ["android"]; empty: for all'),
        ),
        migrations.AddField(
            model_name='release',
            name='tiers',
            field=models.JSONField(blank=True, default=list, help_text='only for devices of these tiers; empty: for all'),
        ),
        migrations.AddIndex(
            model_name='benchmark',
            index=models.Index(fields=['recognizer', '-reported_at'], name='newest_benchmarks'),
        ),
        migrations.AddConstraint(
            model_name='channel',
            constraint=models.CheckConstraint(condition=models.Q(('arm_percent__range', (0, 100))), name='arm_is_percent'),
        ),
        migrations.AddField(
            model_name='move',
            name='channel',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='moves', to='training.channel'),
        ),
        migrations.AddIndex(
            model_name='move',
            index=models.Index(fields=['channel', '-made_at'], name='moves_of_a_channel'),
        ),
        migrations.RunPython(remember, migrations.RunPython.noop),
    ]
