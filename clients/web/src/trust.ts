// Whom a phone believes: a pinned root key, by it the keys that sign manifests, and a floor under the clock.

import { type Json, list, record, text, whole } from "./json.js";
import { Refused } from "./refused.js";
import { Envelope, type PublicKey, publicKey } from "./signatures.js";

const KEYS_TYPE = "photorally-keys+jwt";
const ROOT_TYPE = "photorally-root+jwt";
export const CLOCK_SLACK_S = 86_400; // seconds a document may come from the future
const VERSION_JUMP_MOST = 10_000; // above what the phone has, of manifests and of key sets
const VERSION_MOST = 1_000_000; // for a phone that has none yet, and for all
const ROTATIONS_MOST = 100; // of the root, in one document

/** What a phone remembers between updates. Times are Unix seconds. */
export interface Trust {
  readonly root: { readonly version: number; readonly key: Json };
  readonly keysVersion: number; // the highest set seen; 0 before the first
  readonly newestIssuedAt: number; // of all documents believed: a clock set back below it is not believed
}

/** From what ships with an app: {"version": 1, "key": JWK}. */
export function pinned(root: unknown): Trust {
  const { version, key } = record(root, "The pinned root");
  publicKey(record(key, "The pinned root's key"));
  return { root: { version: whole(version, "Its version"), key: key as Json }, keysVersion: 0, newestIssuedAt: 0 };
}

/** Who may sign manifests, as the root says. */
export class KeySet {
  private constructor(
    readonly version: number,
    readonly issuedAt: number,
    readonly expiresAt: number,
    private readonly keys: ReadonlyMap<string, { key: PublicKey; notAfter: number }>,
    private readonly revoked: ReadonlySet<string>,
  ) {}

  static async read(token: string, root: PublicKey): Promise<KeySet> {
    const envelope = Envelope.read(token, KEYS_TYPE);
    if (!(await envelope.fits(root))) throw new Refused("keys-not-vouched", `The key set is not signed by root ${root.kid}.`);
    const content = envelope.unverified();
    const keys = new Map<string, { key: PublicKey; notAfter: number }>();
    for (const listed of list(content.keys, "keys")) {
      const jwk = record(listed, "A key");
      const key = publicKey(jwk);
      keys.set(key.kid, { key, notAfter: whole(jwk.not_after, "not_after") });
    }
    return new KeySet(
      whole(content.version, "version"),
      whole(content.issued_at, "issued_at"),
      whole(content.expires_at, "expires_at"),
      keys,
      new Set(list(content.revoked, "revoked").map((kid) => text(kid, "A revoked kid"))),
    );
  }

  hasRevoked(kid: string): boolean {
    return this.revoked.has(kid);
  }

  /** The key that may sign manifests now. */
  signer(kid: string, now: number): PublicKey {
    if (this.revoked.has(kid)) throw new Refused("revoked-key", `Key ${kid} is revoked.`);
    const found = this.keys.get(kid);
    if (!found) throw new Refused("unknown-key", `Key ${kid} is not in key set ${this.version}.`);
    if (now >= found.notAfter) throw new Refused("expired-key", `Key ${kid} was good until ${found.notAfter}.`);
    return found.key;
  }
}

/** The time to judge by: never before the newest document that was believed. */
export function present(trust: Trust, clock: number): number {
  return Math.max(clock, trust.newestIssuedAt);
}

export function seen(trust: Trust, issuedAt: number): Trust {
  return { ...trust, newestIssuedAt: Math.max(trust.newestIssuedAt, issuedAt) };
}

/** Judge what the server publishes as its keys. Returns the trust after it; when it throws, nothing of the document counts. */
export async function follow(trust: Trust, document: Json, clock: number): Promise<[Trust, KeySet]> {
  const rotations = list(document.rotations, "rotations");
  const token = text(document.keys, "keys");
  if (rotations.length > ROTATIONS_MOST) throw new Refused("malformed", "Too many rotations.");
  let root = trust.root;
  for (const rotation of rotations) root = await nextRoot(root, record(rotation, "A rotation"));
  const keys = await KeySet.read(token, publicKey(root.key));
  const now = present(trust, clock);
  if (now >= keys.expiresAt) throw new Refused("keys-expired", `Key set ${keys.version} has expired.`);
  if (keys.issuedAt > now + CLOCK_SLACK_S) throw new Refused("not-yet-valid", "The key set is from this phone's future.");
  if (keys.version < trust.keysVersion) {
    throw new Refused("keys-lower-version", `Key set ${keys.version} was offered, ${trust.keysVersion} was seen.`);
  }
  refuseJump(keys.version, trust.keysVersion);
  return [seen({ ...trust, root, keysVersion: keys.version }, keys.issuedAt), keys];
}

/** The root after one rotation: the next version, signed by the root held and by the new one. */
async function nextRoot(held: Trust["root"], rotation: Json): Promise<Trust["root"]> {
  const payload = text(rotation.payload, "A rotation's payload");
  const envelopes = list(rotation.signatures, "A rotation's signatures").map((one) => {
    const { protected: header, signature } = record(one, "A signature");
    return Envelope.read(`${text(header, "protected")}.${payload}.${text(signature, "signature")}`, ROOT_TYPE);
  });
  const first = envelopes[0];
  if (!first) throw new Refused("malformed", "A rotation has no signature.");
  const content = first.unverified();
  const version = whole(content.version, "A root's version");
  const key = record(content.root, "A root");
  const next = publicKey(key);
  if (version <= held.version) return held; // followed before
  if (version !== held.version + 1) throw new Refused("root-not-vouched", `Root ${version} follows root ${held.version}.`);
  for (const signer of [publicKey(held.key), next]) {
    const fits = await Promise.all(envelopes.map((envelope) => envelope.fits(signer)));
    if (!fits.includes(true)) throw new Refused("root-not-vouched", `Root ${version} is not signed by ${signer.kid}.`);
  }
  return { version, key };
}

/** `have`: what the phone has of this, 0 before the first. */
export function refuseJump(version: number, have: number): void {
  const most = have ? Math.min(have + VERSION_JUMP_MOST, VERSION_MOST) : VERSION_MOST;
  if (version > most) throw new Refused("version-jump", `Version ${version} is beyond ${most}.`);
}
