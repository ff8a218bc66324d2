import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """What the released model takes a new photo for."""

    dependencies = [
        ('collector', '0004_upload_hint'),
        ('training', '0009_deltas'),
    ]

    operations = [
        migrations.CreateModel(
            name='FirstSight',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('own', models.FloatField(help_text="probability that it gave to the photo's label, 0 to 1")),
                ('photo', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='first_sight', to='collector.photo')),
                ('run', models.ForeignKey(help_text='the night that asked the release before it', on_delete=django.db.models.deletion.CASCADE, related_name='+', to='training.run')),
                ('taken_for', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.label')),
            ],
        ),
    ]
