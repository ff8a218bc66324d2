"""What happens here that the apps above may want to know; collector knows none of them."""

from django.dispatch import Signal

# Sent inside the transaction that withdraws photos, with `photo_ids: list[UUID]`. A receiver may return a JSON-ready dict;
# the dicts are merged into the erasure's receipt, e.g. {"releases": ["groceries v3"]}.
photos_withdrawn = Signal()

# Sent when a volunteer asks about one photo, with `photo: Photo`. A receiver may return a JSON-ready dict that is merged into
# the answer, e.g. {"worth": 0.0004}.
photo_described = Signal()
