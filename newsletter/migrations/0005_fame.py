import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


def mark_all_days(apps, schema_editor):
    """So that nobody has to remember a rebuild."""
    recognizers = apps.get_model("collector", "Recognizer").objects.values_list("pk", flat=True)
    mark = apps.get_model("newsletter", "FameMark")
    mark.objects.bulk_create(mark(recognizer_id=pk, badges=True) for pk in recognizers)


class Migration(migrations.Migration):
    """Fame in rows: sums by day, leaderboards and their marks; wishes of how to be named, badges, teams.

    What was accepted before is counted by a worker: each recognizer gets a mark for all its days.
    """

    dependencies = [
        ('collector', '0005_photo_accepted'),
        ('newsletter', '0004_pairs_and_scores'),
    ]

    operations = [
        migrations.CreateModel(
            name='FameBook',
            fields=[
                ('recognizer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='collector.recognizer')),
                ('turn', models.PositiveBigIntegerField(default=0)),
                ('run', models.BigIntegerField(default=0, help_text='the run by whose values the rows were made; 0: none')),
            ],
        ),
        migrations.CreateModel(
            name='FamePreference',
            fields=[
                ('volunteer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='fame_preference', serialize=False, to='collector.volunteer')),
                ('listed', models.BooleanField(default=True, help_text='no: on no leaderboard, and no credit names them')),
                ('pseudonym', models.CharField(blank=True, help_text='instead of the handle', max_length=40)),
                ('pseudonym_key', models.CharField(editable=False, max_length=80, null=True, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name='Team',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40)),
                ('name_key', models.CharField(editable=False, max_length=80, unique=True)),
                ('code_hash', models.CharField(editable=False, max_length=32, unique=True)),
                ('turn', models.PositiveBigIntegerField(default=0, editable=False)),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='FameBoard',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=6)),
                ('begins', models.DateField()),
                ('version', models.PositiveBigIntegerField(default=0, help_text='raised whenever a line may have changed: its ETag')),
                ('label', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.label')),
                ('recognizer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.recognizer')),
            ],
        ),
        migrations.CreateModel(
            name='FameDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('photos', models.PositiveIntegerField(help_text='accepted photos; near-duplicates count once')),
                ('likes', models.PositiveIntegerField()),
                ('valued', models.PositiveIntegerField(help_text='those of the photos that the newest night valued')),
                ('worth', models.BigIntegerField(help_text="billionths of the model's accuracy; may be negative")),
                ('day', models.DateField()),
                ('label', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.label')),
                ('recognizer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.recognizer')),
                ('volunteer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.volunteer')),
            ],
        ),
        migrations.CreateModel(
            name='FameLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('photos', models.PositiveIntegerField(help_text='accepted photos; near-duplicates count once')),
                ('likes', models.PositiveIntegerField()),
                ('valued', models.PositiveIntegerField(help_text='those of the photos that the newest night valued')),
                ('worth', models.BigIntegerField(help_text="billionths of the model's accuracy; may be negative")),
                ('points', models.PositiveBigIntegerField()),
                ('listed', models.BooleanField(default=True)),
                ('board', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='newsletter.fameboard')),
                ('volunteer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.volunteer')),
            ],
        ),
        migrations.CreateModel(
            name='FameMark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(help_text='empty: all days, after a night', null=True)),
                ('badges', models.BooleanField(default=False, help_text='badges may change with it')),
                ('marked_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('recognizer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.recognizer')),
            ],
        ),
        migrations.CreateModel(
            name='TeamMember',
            fields=[
                ('volunteer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='team_membership', serialize=False, to='collector.volunteer')),
                ('joined_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='members', to='newsletter.team')),
            ],
        ),
        migrations.CreateModel(
            name='FameBadge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('first-in-the-dark', 'First in the dark'), ('fixed-mistakes', 'Fixed mistakes'), ('new-corner', 'Taught a new corner')], max_length=20)),
                ('day', models.DateField(help_text='when that photo was accepted')),
                ('facts', models.JSONField(default=dict, help_text='label, condition, release, count: as far as the rule has them')),
                ('photo', models.ForeignKey(help_text='the one that earned it', on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.photo')),
                ('recognizer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.recognizer')),
                ('volunteer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='badges', to='collector.volunteer')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('recognizer', 'volunteer', 'kind'), name='one_badge_a_kind')],
            },
        ),
        migrations.AddConstraint(
            model_name='fameboard',
            constraint=models.UniqueConstraint(fields=('recognizer', 'kind', 'begins', 'label'), name='one_fame_board_a_label'),
        ),
        migrations.AddConstraint(
            model_name='fameboard',
            constraint=models.UniqueConstraint(condition=models.Q(('label__isnull', True)), fields=('recognizer', 'kind', 'begins'), name='one_fame_board'),
        ),
        migrations.AddIndex(
            model_name='fameday',
            index=models.Index(fields=['recognizer', 'volunteer', 'day'], name='fame_of_volunteer'),
        ),
        migrations.AddConstraint(
            model_name='fameday',
            constraint=models.UniqueConstraint(fields=('recognizer', 'day', 'volunteer', 'label'), name='one_fame_day'),
        ),
        migrations.AddIndex(
            model_name='fameline',
            index=models.Index(condition=models.Q(('listed', True)), fields=['board', '-points', '-photos', 'volunteer'], name='fame_order'),
        ),
        migrations.AddConstraint(
            model_name='fameline',
            constraint=models.UniqueConstraint(fields=('board', 'volunteer'), name='one_fame_line'),
        ),
        migrations.RunPython(mark_all_days, migrations.RunPython.noop),
    ]
