// Files of a phone in a folder: for Node; a browser keeps them elsewhere.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "./phone.js";

export class Folder implements Store {
  constructor(private readonly path: string) {}

  async read(name: string): Promise<Uint8Array | null> {
    try {
      return await readFile(join(this.path, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  async write(name: string, content: Uint8Array): Promise<void> {
    await mkdir(this.path, { recursive: true });
    const part = join(this.path, `${name}.part`);
    await writeFile(part, content);
    await rename(part, join(this.path, name));
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.path, name), { force: true });
  }
}
