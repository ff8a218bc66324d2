from django.db import migrations, models


class Migration(migrations.Migration):
    """What was accepted on a day, or since one, is found by an index: fame, ballots, editions."""

    dependencies = [
        ('collector', '0004_upload_hint'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='photo',
            index=models.Index(condition=models.Q(('state', 'accepted')), fields=['recognizer', 'accepted_at'], name='photo_accepted'),
        ),
    ]
