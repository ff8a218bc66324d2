// The model that this device runs, and how a newer one takes its place: whole and verified, or not at all.

import { type Json, object } from "./json.js";
import { MANIFEST_TYPE, type Offer, judge, offerOf } from "./manifest.js";
import { Refused } from "./refused.js";
import { Envelope } from "./signatures.js";
import { type Trust, follow, pinned, present, seen } from "./trust.js";

const ANSWER_MOST_BYTES = 256 * 2 ** 10; // of a manifest or the keys; the largest defined one is a few KB

/** Where files lie: a folder, or in a browser its Cache Storage. `write` puts the whole file in place or none of it. */
export interface Store {
  read(name: string): Promise<Uint8Array | null>;
  write(name: string, content: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
}

export interface Settings {
  readonly server: string; // its address
  readonly recognizer: string;
  readonly channel: string;
  readonly device: string; // a random id of the app's own making
  readonly app: string; // the app's version, e.g. "1.2"
  readonly root?: unknown; // what ships with the app: {"version", "key"}; without it the server's root is pinned at first use
  readonly clock?: () => number; // Unix seconds
}

interface Kept {
  readonly etag: string;
  readonly token: string;
}

export class Phone {
  private readonly clock: () => number;

  constructor(private readonly store: Store, private readonly settings: Settings) {
    this.clock = settings.clock ?? (() => Date.now() / 1000);
  }

  /** What this phone runs; null before the first download. */
  async current(): Promise<Offer | null> {
    const kept = await this.kept();
    return kept && offerOf(Envelope.read(kept.token, MANIFEST_TYPE).unverified());
  }

  /** The model's file, its bytes checked anew. */
  async file(): Promise<Uint8Array> {
    const offer = await this.current();
    const content = offer && (await this.store.read(nameOf(offer)));
    if (!offer || !content || (await sha256(content)) !== offer.sha256) {
      throw new Refused("wrong-digest", "The stored model is damaged or missing: update again.");
    }
    return content;
  }

  /** Follow the channel. Throws a Refused, or another Error for the network; the present model then stays. */
  async update(): Promise<void> {
    const { recognizer, channel, device, app } = this.settings;
    const query = new URLSearchParams({ channel, device });
    const kept = await this.kept();
    const answer = await this.ask(`api/v1/recognizers/${recognizer}/manifest?${query}`, kept?.etag);
    const token = answer ? answer.text.trim() : (kept?.token ?? "");
    const etag = answer ? answer.etag : (kept?.etag ?? "");
    const [trust, keys] = await this.trustedKeys();
    const envelope = Envelope.read(token, MANIFEST_TYPE);
    const now = present(trust, this.clock());
    const offer = offerOf(await envelope.open(keys.signer(envelope.kid, now)));
    // A version that only a revoked key vouched for binds nobody: a thief sets it as high as it goes.
    const bound = kept !== null && !keys.hasRevoked(Envelope.read(kept.token, MANIFEST_TYPE).kid);
    const before = await this.current();
    judge(offer, { recognizer, channel, app, now, have: bound ? before : null });
    const there = await this.store.read(nameOf(offer));
    if (!there || (await sha256(there)) !== offer.sha256) {
      await this.store.write(nameOf(offer), await this.download(offer)); // storage decays too
    }
    await this.writeJson("manifest.json", { etag, token });
    await this.remember(seen(trust, offer.issuedAt));
    if (before && before.sha256 !== offer.sha256) await this.store.remove(nameOf(before));
  }

  // ---- keys
  /** The trust after the server's present keys, and these: asked for each time, so that a revocation arrives. */
  private async trustedKeys(): ReturnType<typeof follow> {
    const [known, document] = [await this.readJson("trust.json"), await this.readJson("keys.json")];
    const etag = known && document ? String(document.etag) : undefined;
    const answer = await this.ask(".well-known/photorally-keys.json", etag);
    const text = answer ? answer.text : String(document?.text); // judged again: it may have expired meanwhile
    const content = object(text, "The server's keys");
    const before = (known as Trust | null) ?? pinned(this.settings.root ?? content.root);
    const [trust, keys] = await follow(before, content, this.clock());
    if (answer) await this.writeJson("keys.json", { etag: answer.etag, text });
    await this.remember(trust);
    return [trust, keys];
  }

  private remember(trust: Trust): Promise<void> {
    return this.writeJson("trust.json", trust);
  }

  // ---- the network
  /** The answer's text, or null for 304. */
  private async ask(path: string, etag?: string): Promise<{ text: string; etag: string } | null> {
    const answer = await fetch(new URL(path, this.settings.server), { headers: etag ? { "If-None-Match": etag } : {} });
    if (answer.status === 304) return null;
    if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
    const content = await upTo(answer, ANSWER_MOST_BYTES);
    if (content.length > ANSWER_MOST_BYTES) throw new Error(`${path} answers with more than ${ANSWER_MOST_BYTES} bytes`);
    return { text: new TextDecoder().decode(content), etag: answer.headers.get("ETag") ?? "" };
  }

  /** The file that a manifest names, verified. */
  private async download(offer: Offer): Promise<Uint8Array> {
    const answer = await fetch(new URL(offer.url, this.settings.server));
    if (!answer.ok) throw new Error(`${offer.url} answers ${answer.status}`);
    const content = await upTo(answer, offer.bytes);
    if (content.length !== offer.bytes) throw new Refused("wrong-length", `The file has not ${offer.bytes} bytes.`);
    if ((await sha256(content)) !== offer.sha256) throw new Refused("wrong-digest", "The file is not the manifest's.");
    return content;
  }

  // ---- what is kept
  private async kept(): Promise<Kept | null> {
    return (await this.readJson("manifest.json")) as Kept | null;
  }

  private async readJson(name: string): Promise<Json | null> {
    const content = await this.store.read(name);
    return content && object(content, name);
  }

  private writeJson(name: string, value: object): Promise<void> {
    return this.store.write(name, new TextEncoder().encode(JSON.stringify(value)));
  }
}

/** An answer's bytes, and at least one more than `most` if there are more: an answer that never ends is cut off. */
async function upTo(answer: Response, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (const reader = answer.body?.getReader(); reader && length <= most; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
    if (length > most) await reader.cancel();
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

export async function sha256(content: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(content));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function nameOf(offer: Offer): string {
  return `${offer.sha256}.tflite`;
}
