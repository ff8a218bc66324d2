// Why a phone does not take what it was offered; docs/phone/README.md says what each reason means.

export const REASONS = [
  "malformed", "wrong-algorithm", "wrong-type", "bad-signature",
  "root-not-vouched", "keys-not-vouched", "keys-expired", "keys-lower-version", "unknown-key", "revoked-key", "expired-key",
  "wrong-recognizer", "expired", "not-yet-valid", "lower-version", "version-jump", "version-reused", "app-too-old",
  "no-usable-artifact",
  "wrong-length", "wrong-digest", "wrong-answers",
] as const;

export type Reason = (typeof REASONS)[number];

/** The phone keeps yesterday's model. `message` says why, for the app's log. */
export class Refused extends Error {
  constructor(readonly reason: Reason, why: string) {
    super(why);
    this.name = "Refused";
  }
}
