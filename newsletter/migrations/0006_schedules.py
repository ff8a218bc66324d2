import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import newsletter.models.schedule
from django.db import migrations, models


class Migration(migrations.Migration):
    """Editions are due at hours of a schedule; an editor may hold one; every change of a draft is logged."""

    dependencies = [
        ('collector', '0004_upload_hint'),
        ('newsletter', '0005_fame'),
    ]

    operations = [
        migrations.AddField(
            model_name='edition',
            name='held_by',
            field=models.CharField(blank=True, editable=False, max_length=150),
        ),
        migrations.AddField(
            model_name='edition',
            name='held_why',
            field=models.CharField(blank=True, editable=False, max_length=300),
        ),
        migrations.AddField(
            model_name='editionentry',
            name='part',
            field=models.CharField(choices=[('find', 'one of the best finds'), ('fix', 'the photo that fixed the mistake which the edition tells of')], default='find', editable=False, max_length=4),
        ),
        migrations.AlterField(
            model_name='edition',
            name='number',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='EditionChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('by', models.CharField(help_text="a user's name, “command”, or “schedule”", max_length=150)),
                ('verb', models.CharField(max_length=20)),
                ('what', models.CharField(blank=True, max_length=300)),
                ('edition', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='newsletter.edition')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('time_zone', models.CharField(default='UTC', help_text='like Europe/Berlin', max_length=64, validators=[newsletter.models.schedule.known_zone])),
                ('daily_hour', models.PositiveSmallIntegerField(blank=True, choices=[(0, '00:00'), (1, '01:00'), (2, '02:00'), (3, '03:00'), (4, '04:00'), (5, '05:00'), (6, '06:00'), (7, '07:00'), (8, '08:00'), (9, '09:00'), (10, '10:00'), (11, '11:00'), (12, '12:00'), (13, '13:00'), (14, '14:00'), (15, '15:00'), (16, '16:00'), (17, '17:00'), (18, '18:00'), (19, '19:00'), (20, '20:00'), (21, '21:00'), (22, '22:00'), (23, '23:00')], help_text='about the day before', null=True)),
                ('weekly_weekday', models.PositiveSmallIntegerField(choices=[(0, 'Monday'), (1, 'Tuesday'), (2, 'Wednesday'), (3, 'Thursday'), (4, 'Friday'), (5, 'Saturday'), (6, 'Sunday')], default=6)),
                ('weekly_hour', models.PositiveSmallIntegerField(blank=True, choices=[(0, '00:00'), (1, '01:00'), (2, '02:00'), (3, '03:00'), (4, '04:00'), (5, '05:00'), (6, '06:00'), (7, '07:00'), (8, '08:00'), (9, '09:00'), (10, '10:00'), (11, '11:00'), (12, '12:00'), (13, '13:00'), (14, '14:00'), (15, '15:00'), (16, '16:00'), (17, '17:00'), (18, '18:00'), (19, '19:00'), (20, '20:00'), (21, '21:00'), (22, '22:00'), (23, '23:00')], help_text='about the seven days before', null=True)),
                ('reminder_hour', models.PositiveSmallIntegerField(blank=True, choices=[(0, '00:00'), (1, '01:00'), (2, '02:00'), (3, '03:00'), (4, '04:00'), (5, '05:00'), (6, '06:00'), (7, '07:00'), (8, '08:00'), (9, '09:00'), (10, '10:00'), (11, '11:00'), (12, '12:00'), (13, '13:00'), (14, '14:00'), (15, '15:00'), (16, '16:00'), (17, '17:00'), (18, '18:00'), (19, '19:00'), (20, '20:00'), (21, '21:00'), (22, '22:00'), (23, '23:00')], help_text='the challenge of the day', null=True)),
                ('notice_h', models.PositiveSmallIntegerField(default=4, help_text='the draft is composed so many hours before it is due', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(12)], verbose_name='hours to object')),
                ('goes_by_itself', models.BooleanField(default=False, help_text="at its hour, unless an editor holds it; otherwise it waits for an editor's approval")),
                ('since', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('recognizer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='schedule', to='collector.recognizer')),
            ],
        ),
        migrations.CreateModel(
            name='Slot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('daily', 'daily'), ('weekly', 'weekly'), ('reminder', 'reminder of the challenge, without photos')], max_length=8)),
                ('day', models.DateField(help_text="of the hour, in the schedule's time zone")),
                ('due_at', models.DateTimeField()),
                ('state', models.CharField(choices=[('waiting', 'waits to be composed'), ('composed', 'composed, waits for its hour or for approval'), ('gone', 'frozen and sent, or on its way'), ('missed', 'did not go by itself')], default='waiting', max_length=8)),
                ('goes_at', models.DateTimeField(blank=True, help_text='later than due where it was composed late', null=True)),
                ('tried_at', models.DateTimeField(blank=True, null=True)),
                ('why', models.CharField(blank=True, max_length=300)),
                ('edition', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='slot', to='newsletter.edition')),
                ('schedule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='slots', to='newsletter.schedule')),
            ],
            options={
                'ordering': ['-due_at'],
                'indexes': [models.Index(condition=models.Q(('state__in', ['waiting', 'composed'])), fields=['due_at'], name='slots_open')],
                'constraints': [models.UniqueConstraint(fields=('schedule', 'kind', 'day'), name='one_slot_a_kind_and_day')],
            },
        ),
    ]
