"""What happens here that the apps above may want to know; collector knows none of them."""

from django.dispatch import Signal

# Sent inside the transaction that withdraws photos, with `photo_ids: list[UUID]`. A receiver may return a JSON-ready dict;
# the dicts are merged into the erasure's receipt, e.g. {"releases": ["groceries v3"]}. The photos of one withdrawal may come in
# several parts; their recognizers' `turn` is taken, and their rows are shells already (accepted_at, split and, until all have
# been told, cluster stay).
photos_withdrawn = Signal()

# Sent inside the transaction that decides about a photo, with `photo: Photo` as it is now and `again: bool`: it had been
# accepted before.
photo_decided = Signal()

# Sent inside the transaction that erases an account, with `volunteer: Volunteer`, before its row is deleted. A receiver removes
# what it keeps of the volunteer beside foreign keys, which are SET_NULL or CASCADE.
volunteer_erased = Signal()

# Sent when somebody reads a receipt, with `erasure: Erasure`. A receiver may return a JSON-ready dict of what became of the
# models since; it replaces members of the answer.
erasure_described = Signal()

# Sent when a volunteer takes out their data, with `volunteer: Volunteer`. A receiver may return a dict of what it holds about
# them; a value may be an iterator of JSON-ready items, which is written as it goes.
volunteer_described = Signal()

# Sent when a volunteer asks about one photo, with `photo: Photo`. A receiver may return a JSON-ready dict that is merged into
# the answer, e.g. {"worth": 0.0004}.
photo_described = Signal()

# Sent when a moderator asks which accepted labels deserve another look, with `recognizer: Recognizer`. A receiver returns a
# list of collector.second_looks.SecondLook, the most doubtful first, without photos that were decided since the doubt arose.
labels_doubted = Signal()

# Sent when the page of an import is shown, with `recognizer: Recognizer`. A receiver may return what can be done next with its
# photos, as {"text", "address"}.
photos_imported = Signal()
