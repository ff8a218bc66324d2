from django.db import migrations, models


class Migration(migrations.Migration):
    """An entry may say which mistake of the model its photo mended."""

    dependencies = [
        ('newsletter', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='editionentry',
            name='mended',
            field=models.CharField(blank=True, help_text='which mistake of the model it mended, a sentence', max_length=240),
        ),
    ]
