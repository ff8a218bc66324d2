// Values out of documents that a stranger may have written: of the type that is expected, or Refused as malformed.

import { Refused } from "./refused.js";

export type Json = Record<string, unknown>;

/** The JSON object in a text or in UTF-8 bytes. */
export function object(source: string | Uint8Array, what: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(typeof source === "string" ? source : new TextDecoder("utf-8", { fatal: true }).decode(source));
  } catch {
    throw new Refused("malformed", `${what} is no JSON.`);
  }
  return record(value, what);
}

export function record(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refused("malformed", `${what} is no JSON object.`);
  }
  return value as Json;
}

export function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw new Refused("malformed", `${what} is no list.`);
  return value;
}

export function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new Refused("malformed", `${what} is no text.`);
  return value;
}

/** A whole number from 0 to 2^53 - 1. */
export function whole(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new Refused("malformed", `${what} is no whole number.`);
  }
  return value;
}
