// The published vectors, over HTTP: `VECTORS=<folder> node --test dist/`.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Folder } from "./folder.js";
import { Phone, sha256 } from "./phone.js";
import { REASONS, Refused } from "./refused.js";

interface Vector {
  name: string;
  phone: {
    recognizer: string; channel: string; app: string; now: number; keys_version: number; newest_issued_at: number;
    root: { version: number; key: Record<string, unknown> } | null; model: { manifest: string; file: string } | null;
  };
  server: { keys: unknown; manifest: string; file: string };
  expected: {
    outcome: "accepted" | "refused"; reason?: string; version?: number; sha256?: string; trust: Record<string, number>;
  };
}

const folder = process.env.VECTORS ?? "docs/phone/vectors";
const names = (await readdir(folder)).filter((name) => name.endsWith(".json"));
const vectors = await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), "utf8")) as Vector));

let served: Vector["server"];
const server = createServer((request, response) => {
  const path = request.url ?? "";
  if (path.startsWith("/.well-known/photorally-keys.json")) response.end(JSON.stringify(served.keys));
  else if (path.startsWith("/api/v1/recognizers/coins/manifest")) response.end(served.manifest);
  else response.end(Buffer.from(served.file, "base64"));
});
await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
after(() => server.close());

/** Have a phone's folder hold what the vector says. */
async function putInPlace(store: Folder, held: Vector["phone"]): Promise<void> {
  const write = (name: string, value: object) => store.write(name, Buffer.from(JSON.stringify(value)));
  if (held.root) {
    await write("trust.json", { root: held.root, keysVersion: held.keys_version, newestIssuedAt: held.newest_issued_at });
  }
  if (held.model) {
    const file = Buffer.from(held.model.file, "base64");
    await store.write(`${await sha256(file)}.tflite`, file);
    await write("manifest.json", { etag: "", token: held.model.manifest });
  }
}

for (const vector of vectors) {
  test(vector.name, async () => {
    const path = await mkdtemp(join(tmpdir(), "photorally-"));
    try {
      const store = new Folder(path);
      const { phone: held, expected } = vector;
      const { recognizer, channel, app } = held;
      const phone = new Phone(store, { server: address, recognizer, channel, device: "d", app, clock: () => held.now });
      await putInPlace(store, held);
      served = vector.server;
      const before = await phone.current();
      if (expected.outcome === "refused") {
        await assert.rejects(phone.update(), (error) => error instanceof Refused && error.reason === expected.reason
          || assert.fail(`expected ${expected.reason}, got ${(error as Refused).reason ?? error}`));
        assert.deepEqual(await phone.current(), before);
        if (before) assert.equal(await sha256(await phone.file()), before.sha256);
      } else {
        await phone.update();
        const offer = await phone.current();
        assert.deepEqual([offer?.version, offer?.sha256], [expected.version, expected.sha256]);
        assert.equal(await sha256(await phone.file()), expected.sha256);
      }
      const kept = await store.read("trust.json");
      if (kept) {
        const trust = JSON.parse(Buffer.from(kept).toString());
        const { root_version, keys_version, newest_issued_at } = expected.trust;
        assert.deepEqual([trust.root.version, trust.keysVersion, trust.newestIssuedAt], [root_version, keys_version, newest_issued_at]);
      }
    } finally {
      await rm(path, { recursive: true });
    }
  });
}

test("every reason has a vector, and no vector has another", () => {
  const expected = new Set(vectors.map((vector) => vector.expected.reason).filter((reason) => reason !== undefined));
  const told = REASONS.filter((reason) => reason !== "wrong-answers"); // no vector runs a network
  assert.deepEqual([...expected].sort(), [...told].sort());
});
