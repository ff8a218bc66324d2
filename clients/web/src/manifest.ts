// Is this manifest for us, and which of its files?

import { type Json, list, record, text, whole } from "./json.js";
import { Refused } from "./refused.js";
import { CLOCK_SLACK_S, refuseJump } from "./trust.js";

export const MANIFEST_TYPE = "photorally-manifest+jwt";
const MODEL_MOST_BYTES = 200 * 2 ** 20; // of a model's file; the ones in use have 1 to 10 MB
const FORMATS = ["int8"]; // in order of preference
const INPUT = { channels: "RGB", layout: "NHWC", batch: 1, dtype: "uint8" }; // what this client's app can feed

/** What a verified manifest offers to this phone. Times are Unix seconds. */
export interface Offer {
  readonly recognizer: string;
  readonly channel: string;
  readonly version: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly minimumApp: string;
  readonly labels: readonly { slug: string; name: string }[]; // one per output, in order
  readonly sha256: string;
  readonly bytes: number;
  readonly url: string;
}

/** Read a payload whose signature was checked. */
export function offerOf(payload: Json): Offer {
  const artifact = choose(list(payload.artifacts, "artifacts").map((one) => record(one, "An artifact")));
  const offer: Offer = {
    recognizer: text(payload.recognizer, "recognizer"),
    channel: text(payload.channel, "channel"),
    version: whole(payload.version, "version"),
    issuedAt: whole(payload.issued_at, "issued_at"),
    expiresAt: whole(payload.expires_at, "expires_at"),
    minimumApp: text(payload.minimum_app, "minimum_app"),
    labels: list(payload.labels, "labels").map((one) => {
      const { slug, name } = record(one, "A label");
      return { slug: text(slug, "slug"), name: text(name, "name") };
    }),
    sha256: text(artifact.sha256, "sha256"),
    bytes: whole(artifact.bytes, "bytes"),
    url: text(artifact.url, "url"),
  };
  // The digest becomes a file's name and the length a file's size: a signing key in wrong hands must not reach further.
  const fits = offer.bytes > 0 && offer.bytes <= MODEL_MOST_BYTES && offer.labels.length > 0;
  if (!/^[0-9a-f]{64}$/.test(offer.sha256) || !fits) {
    throw new Refused("malformed", "The manifest's digest, length or labels cannot be right.");
  }
  return offer;
}

/** The best artifact that this phone can feed. */
function choose(artifacts: Json[]): Json {
  for (const wanted of FORMATS) {
    for (const artifact of artifacts) {
      const input = record(artifact.input, "An artifact's input");
      const fits = Object.entries(INPUT).every(([name, value]) => input[name] === value) && input.width === input.height;
      if (artifact.format === wanted && fits) return artifact;
    }
  }
  throw new Refused("no-usable-artifact", `This phone runs ${FORMATS.join(", ")} files.`);
}

export interface Situation {
  readonly recognizer: string;
  readonly channel: string;
  readonly app: string;
  readonly now: number; // Unix seconds
  readonly have: Offer | null; // what the phone runs; null before the first, and when only a revoked key vouched for it
}

/** Whether to follow a signed offer. The order of the questions is part of the contract. */
export function judge(offer: Offer, { recognizer, channel, app, now, have }: Situation): void {
  if (offer.recognizer !== recognizer || offer.channel !== channel) {
    throw new Refused("wrong-recognizer", `Asked for ${recognizer}/${channel}, got ${offer.recognizer}/${offer.channel}.`);
  }
  if (now >= offer.expiresAt) throw new Refused("expired", `Version ${offer.version}'s manifest has expired.`);
  if (offer.issuedAt > now + CLOCK_SLACK_S) throw new Refused("not-yet-valid", "The manifest is from this phone's future.");
  if (have && offer.version < have.version) {
    throw new Refused("lower-version", `Version ${offer.version} was offered, version ${have.version} is here.`);
  }
  refuseJump(offer.version, have?.version ?? 0);
  if (have && offer.version === have.version && offer.sha256 !== have.sha256) {
    throw new Refused("version-reused", `Version ${offer.version} names another file than before.`);
  }
  if (isLower(app, offer.minimumApp)) throw new Refused("app-too-old", `It needs app ${offer.minimumApp}, this is ${app}.`);
}

function isLower(version: string, than: string): boolean {
  const [mine, theirs] = [numbers(version), numbers(than)];
  for (let i = 0; i < Math.max(mine.length, theirs.length); i++) {
    const difference = (mine[i] ?? 0) - (theirs[i] ?? 0); // 1.0 is 1
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numbers(version: string): number[] {
  if (!/^[0-9]{1,9}(\.[0-9]{1,9})*$/.test(version)) throw new Refused("malformed", `${version} is no app version.`);
  return version.split(".").map(Number);
}
