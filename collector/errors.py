"""What a phone or a moderator can do wrong, each with its facts and the way out."""

from config.errors import Problem


class UnknownRecognizer(Problem):
    status, code, title = 404, "unknown-recognizer", "There is no such recognizer."


class UnknownLabel(Problem):
    status, code, title = 422, "unknown-label", "The recognizer has no such label."


class UnknownChallenge(Problem):
    status, code, title = 422, "unknown-challenge", "The recognizer has no such challenge."


class MissingParameter(Problem):
    status, code, title = 400, "missing-parameter", "A query parameter is missing."


class LengthRequired(Problem):
    status, code, title = 411, "length-required", "Send Content-Length."


class LengthMismatch(Problem):
    status, code, title = 400, "length-mismatch", "The body is not as long as Content-Length says."


class TooBusy(Problem):
    status, code, title = 503, "too-busy", "Too many photos are arriving at this moment."


class BadHeader(Problem):
    status, code, title = 400, "bad-header", "A header is missing or malformed."


class BadMetadata(Problem):
    status, code, title = 400, "bad-metadata", "Upload-Metadata is missing or malformed."


class UnknownUpload(Problem):
    status, code, title = 404, "unknown-upload", "You have no such upload."


class UploadGone(Problem):
    status, code, title = 410, "upload-gone", "This upload has ended."


class WrongOffset(Problem):
    status, code, title = 409, "wrong-offset", "Upload-Offset is not where this upload stands."


class WrongVersion(Problem):
    status, code, title = 412, "wrong-version", "Send Tus-Resumable: 1.0.0."


class UploadTooLong(Problem):
    status, code, title = 413, "upload-too-long", "These are more bytes than the upload lacks."


class TooManyPieces(Problem):
    status, code, title = 413, "too-many-pieces", "This upload came in too many small pieces."


class WrongContentType(Problem):
    status, code, title = 415, "wrong-content-type", "Send Content-Type: application/offset+octet-stream."


class UploadBusy(Problem):
    status, code, title = 423, "upload-busy", "This upload is being taken in right now."


class TooManyUploads(Problem):
    status, code, title = 429, "too-many-uploads", "Too many uploads are open."


class ChecksumMismatch(Problem):
    status, code, title = 460, "checksum-mismatch", "The bytes do not fit Upload-Checksum."


class NoDirectUpload(Problem):
    status, code, title = 409, "no-direct-upload", "This installation takes no direct uploads."


class NotAsAnnounced(Problem):
    status, code, title = 422, "not-as-announced", "What arrived is not what was announced."


class EmptyBody(Problem):
    status, code, title = 422, "empty-body", "The body is empty."


class PhotoTooLarge(Problem):
    status, code, title = 413, "photo-too-large", "The photo has too many bytes or pixels."


class NotAnAllowedFormat(Problem):
    status, code, title = 415, "not-an-allowed-format", "Send a JPEG, PNG or WebP photo."


class NotAWholeImage(Problem):
    status, code, title = 422, "not-a-whole-image", "The body is not a whole image."


class PhotoConflict(Problem):
    status, code, title = 409, "photo-conflict", "This UUID already names a photo with other bytes."


class PhotoGone(Problem):
    status, code, title = 410, "photo-gone", "This photo was withdrawn."


class PhotoErased(Problem):
    status, code, title = 410, "photo-erased", "These bytes were withdrawn and are not taken again."


class VolunteerGone(Problem):
    status, code, title = 401, "volunteer-gone", "This account was erased."


class UnknownErasure(Problem):
    status, code, title = 404, "unknown-erasure", "There is no receipt of this number."


class UnknownPhoto(Problem):
    status, code, title = 404, "unknown-photo", "You have no such photo."


class LimitReached(Problem):
    status, code, title = 429, "limit-reached", "A limit is reached."


class InvitationRequired(Problem):
    status, code, title = 403, "invitation-required", "Only invited volunteers can do this."


class InvitationNotValid(Problem):
    status, code, title = 403, "invitation-not-valid", "This invitation code lets nobody in."


class ConsentRequired(Problem):
    status, code, title = 422, "consent-required", "Nothing is stored without consent."


class InvalidHandle(Problem):
    status, code, title = 422, "invalid-handle", "This handle cannot be shown in a ranking."


class HandleTaken(Problem):
    status, code, title = 409, "handle-taken", "Another volunteer has this handle."


class NotDecidable(Problem):
    status, code, title = 409, "not-decidable", "This photo cannot be decided now."
