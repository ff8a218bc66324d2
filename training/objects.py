"""FINE-TUNE, FILES → the sweeper: which rows name the objects that nights keep, so that it knows what a killed process left.

Released files (`blobs`) and snapshots are no kind of its: phones and receipts may ask for them as long as there is a store.
"""

from collector.objects import named_by
from training import checkpoints, deltas, leave, looks, weights
from training.models import CachedView, Checkpoint, Encoded, Run, RunFile, Trunk

named_by(looks.KIND, CachedView.objects.all, "sha256")
named_by(looks.TRUNKS, Trunk.objects.all, "front", "embedder", few=True)
named_by(checkpoints.KIND, Checkpoint.objects.all, "sha256", few=True)
named_by(weights.KIND, Run.objects.all, "weights_sha256", few=True)
named_by(deltas.KIND, Encoded.objects.all, "body", few=True)
named_by(leave.KIND, RunFile.objects.all, "sha256", few=True)
