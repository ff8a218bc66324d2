"""What happens here that the app above may want to know."""

from django.dispatch import Signal

# Sent inside the transaction in which a run writes rows about photos (values, conditions, fixes), or in which its model is
# released, with `recognizer_id: int`.
photos_judged = Signal()
