// `node update.js FOLDER SETTINGS`: one update of a phone kept in FOLDER; SETTINGS are JSON. Says in JSON what came of it.

import { Folder } from "./folder.js";
import { Phone, type Settings, sha256 } from "./phone.js";
import { Refused } from "./refused.js";

const [folder = "", given = "{}"] = process.argv.slice(2);
const phone = new Phone(new Folder(folder), JSON.parse(given) as Settings);
let reason = "";
try {
  await phone.update();
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  reason = error.reason;
}
const offer = await phone.current();
const file = offer && (await sha256(await phone.file())); // of the bytes on the disk, not what the manifest says
console.log(JSON.stringify({ reason, version: offer?.version ?? null, sha256: file }));
