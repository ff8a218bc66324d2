// The envelope of everything a phone trusts: a compact JWS (RFC 7515) signed with Ed25519 (RFC 9864), checked by WebCrypto.

import { type Json, object, text } from "./json.js";
import { Refused } from "./refused.js";

export const ALGORITHM = "Ed25519"; // exactly: a verifier that lets the token choose has been talked into "none" before
const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)$/; // base64url without padding, nothing around it

/** A public Ed25519 key (RFC 8037). */
export interface PublicKey {
  readonly kid: string;
  readonly x: string;
}

export function publicKey(jwk: Json): PublicKey {
  const x = text(jwk.x, "A key's x");
  if (jwk.kty !== "OKP" || jwk.crv !== ALGORITHM || decoded(x, "malformed").length !== 32) {
    throw new Refused("malformed", "A key is not of type OKP and curve Ed25519.");
  }
  return { kid: text(jwk.kid, "A key's kid"), x };
}

/** A compact JWS whose header was judged and whose signature was not: `kid` says which key to ask. */
export class Envelope {
  private constructor(readonly token: string, readonly kid: string) {}

  /** Judge the header, before any key is used. */
  static read(token: string, typ: string): Envelope {
    const parts = COMPACT.exec(token);
    if (!parts) throw new Refused("malformed", "It is no compact JWS.");
    const header = object(decoded(parts[1] ?? "", "malformed"), "The header");
    if (header.alg !== ALGORITHM) throw new Refused("wrong-algorithm", `alg is ${header.alg}, not ${ALGORITHM}.`);
    if (header.typ !== typ) throw new Refused("wrong-type", `typ is ${header.typ}, not ${typ}.`);
    // RFC 7515, 4.1.11: what is critical must be understood; we understand nothing of that kind.
    if ("crit" in header) throw new Refused("malformed", "The header has a crit.");
    return new Envelope(token, text(header.kid, "The header's kid"));
  }

  /** The payload, if `key` has signed it. */
  async open(key: PublicKey): Promise<Json> {
    const end = this.token.lastIndexOf(".");
    const signature = decoded(this.token.slice(end + 1), "bad-signature");
    const content = new TextEncoder().encode(this.token.slice(0, end));
    const jwk = { kty: "OKP", crv: ALGORITHM, x: key.x };
    const imported = await crypto.subtle.importKey("jwk", jwk, ALGORITHM, false, ["verify"]);
    if (!(await crypto.subtle.verify(ALGORITHM, imported, signature, content))) {
      throw new Refused("bad-signature", "The signature does not fit the content.");
    }
    return this.unverified();
  }

  /** The payload without asking any key. */
  unverified(): Json {
    return object(decoded(this.token.split(".")[1] ?? "", "malformed"), "The payload");
  }

  /** Whether `key` has signed this. */
  async fits(key: PublicKey): Promise<boolean> {
    if (this.kid !== key.kid) return false;
    try {
      await this.open(key);
      return true;
    } catch (error) {
      if (error instanceof Refused && error.reason === "bad-signature") return false;
      throw error;
    }
  }
}

/** base64url without padding. */
function decoded(encoded: string, reason: "malformed" | "bad-signature"): Uint8Array<ArrayBuffer> {
  try {
    const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    throw new Refused(reason, "A part is no base64url.");
  }
}
