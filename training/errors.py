"""What can go wrong between a snapshot and a phone, each with its facts and the way out."""

from config.errors import Problem


class MissingWeights(Problem):
    status, code, title = 500, "missing-weights", "The file of backbone weights cannot be read."


class ForeignWeights(Problem):
    status, code, title = 500, "foreign-weights", "The file does not hold the weights of a MobileNetV2 backbone."


class CorruptWeights(Problem):
    status, code, title = 500, "corrupt-weights", "Stored weights are not what their digest names."


class CorruptView(Problem):
    status, code, title = 500, "corrupt-view", "A cached view is not what its digest names."


class TrainingDiverged(Problem):
    status, code, title = 500, "training-diverged", "The training loss stopped being a number."


class UnknownDevice(Problem):
    status, code, title = 500, "unknown-device", "This machine does not have the device that the recipe names."


class BadCluster(Problem):
    status, code, title = 500, "bad-cluster", "TF_CONFIG does not name machines that train together."


class UnevenBatch(Problem):
    status, code, title = 500, "uneven-batch", "A batch cannot be shared evenly among the machines."


class ReplicaLost(Problem):
    status, code, title = 503, "replica-lost", "A machine that trains along fell silent."


class ReplicasDiffer(ReplicaLost):
    status, code, title = 409, "replicas-differ", "Machines that train together would not train the same."


class UnreadablePhoto(Problem):
    status, code, title = 422, "unreadable-photo", "A photo cannot be decoded."


class ExportFailed(Problem):
    status, code, title = 500, "export-failed", "The exported file is not what phones can run."


class HarmfulFormat(Problem):
    status, code, title = 422, "harmful-format", "Files of this format would harm who uses them."


class UnknownFormat(Problem):
    status, code, title = 422, "unknown-format", "There is no such format."


class ForeignModel(Problem):
    status, code, title = 422, "foreign-model", "The file is not a LiteRT model that classifies images."


class LabelMismatch(Problem):
    status, code, title = 422, "label-mismatch", "The model has another number of outputs than there are labels."


class NothingToEvaluate(Problem):
    status, code, title = 422, "nothing-to-evaluate", "There is no photo to evaluate on."


class Contended(Problem):
    status, code, title = 409, "contended", "Photos were withdrawn while a snapshot of them was taken."


class EmptySnapshot(Problem):
    status, code, title = 409, "empty-snapshot", "There is no accepted photo to learn from."


class TooFewPhotos(Problem):
    status, code, title = 409, "too-few-photos", "Fewer than two labels have enough photos to learn from."


class NothingHeldOut(Problem):
    status, code, title = 409, "nothing-held-out", "A label has no photo to choose or to test with."


class CorruptSnapshot(Problem):
    status, code, title = 500, "corrupt-snapshot", "The stored snapshot is not the one that its digest names."


class FencedOff(Problem):
    status, code, title = 409, "fenced-off", "Another process has taken over this run."


class AlreadyFinished(Problem):
    status, code, title = 409, "already-finished", "This slot has had its run."


class CorruptBlob(Problem):
    status, code, title = 500, "corrupt-blob", "The store gave back other bytes than were written."


class ChannelMoved(Problem):
    status, code, title = 409, "channel-moved", "Somebody else changed the channel at the same moment."


class UnknownChannel(Problem):
    status, code, title = 404, "unknown-channel", "There is no such channel."


class UnknownRelease(Problem):
    status, code, title = 404, "unknown-release", "There is no such release."


class NothingReleased(Problem):
    status, code, title = 404, "nothing-released", "There is no release for this device yet."


class NothingToRollBackTo(Problem):
    status, code, title = 409, "nothing-to-roll-back-to", "There is no older published release."


class NotOffered(Problem):
    status, code, title = 409, "not-offered", "This release cannot be put on the channel."


class NotAPercentage(Problem):
    status, code, title = 422, "not-a-percentage", "The rollout is a whole percentage from 0 to 100."


class NothingToHalt(Problem):
    status, code, title = 409, "nothing-to-halt", "The channel has neither an arm nor a ramp under way."


class NoSuchTarget(Problem):
    status, code, title = 422, "no-such-target", "The phones that a release is for cannot be told like this."


class SigningKeyProblem(Problem):
    status, code, title = 500, "signing-key", "The key that signs manifests cannot be used."


class KeySetProblem(Problem):
    status, code, title = 500, "key-set", "The signed set of keys cannot be used."


class VersionOutOfReach(Problem):
    status, code, title = 500, "version-out-of-reach", "Phones would refuse this version, and every later one."


class UnknownBlob(Problem):
    status, code, title = 404, "unknown-blob", "No release has a file of this digest."


class BlobUnavailable(Problem):
    status, code, title = 503, "blob-unavailable", "The file is released, but the store does not have it now."


class RangeNotSatisfiable(Problem):
    status, code, title = 416, "range-not-satisfiable", "The file is shorter than the range that was asked for."


class UnknownArtifact(Problem):
    status, code, title = 404, "unknown-artifact", "No release of this recognizer has this file under this version."


class UnknownSnapshot(Problem):
    status, code, title = 404, "unknown-snapshot", "There is no such snapshot."


class OtherExport(Problem):
    status, code, title = 409, "other-export", "The folder holds something else than this export."


class LostPhoto(Problem):
    status, code, title = 500, "lost-photo", "The store has lost a photo."
