from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training", "0006_rollouts")]

    operations = [
        migrations.AlterField(
            model_name="artifact",
            name="format",
            field=models.CharField(
                choices=[
                    ("float32", "LiteRT float32 (reference)"),
                    ("float16", "LiteRT with float16 weights"),
                    ("int8", "LiteRT int8 per channel, uint8 in and out"),
                    ("coreml-fp16", "Core ML float16, converted, not executed"),
                    ("coreml-int8", "Core ML with 8-bit weights, converted, not executed"),
                    ("canaries", "pictures by formula, for the phone's own check"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="artifact",
            name="answers",
            field=models.JSONField(
                default=dict,
                help_text="how to read its answers (confidence), and what it must answer (canaries): for the manifest",
            ),
        ),
    ]
