import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Volunteers judge pairs; photos keep where they stand and why."""

    dependencies = [
        ('collector', '0004_upload_hint'),
        ('newsletter', '0003_preferences'),
    ]

    operations = [
        migrations.CreateModel(
            name='Ranking',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('claimed_at', models.DateTimeField(editable=False, help_text='somebody ranks since then', null=True)),
                ('ranked_at', models.DateTimeField(editable=False, null=True)),
                ('photos', models.PositiveIntegerField(default=0, editable=False)),
                ('voters', models.PositiveIntegerField(default=0, editable=False)),
                ('rings', models.JSONField(default=list, editable=False, help_text="lists of volunteers' ids, whose votes weigh little")),
                ('recognizer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='ranking', to='collector.recognizer')),
            ],
        ),
        migrations.CreateModel(
            name='Comparison',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('answer', models.CharField(choices=[('low', 'the photo of the smaller id'), ('high', 'the photo of the larger id'), ('equal', 'neither is better')], max_length=5)),
                ('compared_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('high', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.photo')),
                ('low', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.photo')),
                ('volunteer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='comparisons', to='collector.volunteer')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('volunteer', 'low', 'high'), name='one_answer_a_pair'), models.CheckConstraint(condition=models.Q(('low__lt', models.F('high'))), name='pair_in_order')],
            },
        ),
        migrations.CreateModel(
            name='KnownPair',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(choices=[('moderator', 'a moderator said so'), ('consensus', 'voters agreed clearly')], default='moderator', editable=False, max_length=9)),
                ('settled_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('better', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.photo')),
                ('recognizer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='known_pairs', to='collector.recognizer')),
                ('worse', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.photo')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('better', 'worse'), name='known_pair_once'), models.CheckConstraint(condition=models.Q(('better', models.F('worse')), _negated=True), name='known_pair_of_two')],
            },
        ),
        migrations.CreateModel(
            name='PhotoScore',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.PositiveIntegerField(help_text='1 is best; near-duplicates of a better one have no place of their own')),
                ('of', models.PositiveIntegerField()),
                ('parts', models.JSONField()),
                ('ranked_at', models.DateTimeField()),
                ('provisional_until', models.DateTimeField()),
                ('photo', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='score', to='collector.photo')),
            ],
            options={
                'indexes': [models.Index(fields=['ranked_at'], name='score_age')],
            },
        ),
    ]
