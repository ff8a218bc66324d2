from django.db import migrations, models


class Migration(migrations.Migration):
    """Only words: photos are valued on the test photos, and near-duplicates are worth nothing."""

    dependencies = [
        ('training', '0004_trunks_and_checkpoints'),
    ]

    operations = [
        migrations.AlterField(
            model_name='photovalue',
            name='value',
            field=models.FloatField(help_text='share of accuracy on the test photos; may be negative; 0 for copies'),
        ),
    ]
