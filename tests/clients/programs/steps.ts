// The steps of the story, for the programs in TypeScript: each is tried, and a line on stdout says how it went.
import { createHash } from "node:crypto";

export const base = process.env.ZOF_BASE_URL!;
/** A server that answers with values that the document does not list. */
export const altered = process.env.ZOF_ALTERED_URL!;
export const key = "zof_test_admin";
export const otherKey = "zof_test_ci";
export const cases = ["tc_login_001", "tc_payment_fail_002"];
export const kinds: Record<string, string> = {
  "image/png": "png", "application/zip": "zip", "application/json": "har", "application/xml": "junit",
};
/** Where the webhook of the story is; nothing listens there, since the story is about the client. */
export const receiver = "http://127.0.0.1:9/webhooks";
const codes: Record<number, string> = {
  400: "invalid_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict", 429: "rate_limit_exceeded",
};

export async function step(name: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`no ${name}: ${String(error).replace(/\s+/g, " ").slice(0, 200)}`);
  }
}

export function check(condition: unknown, message = "not as expected"): asserts condition {
  if (!condition) throw new Error(message);
}

type Listed = { id: string; type: string; sha256: string; media: string };

/** Download one artifact of each kind, and compare its digest. */
export async function eachArtifact(list: () => Promise<Listed[]>, download: (id: string) => Promise<Uint8Array>): Promise<void> {
  const found = await list().catch(() => [] as Listed[]);
  for (const [media, kind] of Object.entries(kinds)) {
    await step(kind, async () => {
      const one = found.find((each) => each.media === media);
      check(one, "no such artifact is listed");
      const content = await download(one.id);
      check(createHash("sha256").update(content).digest("hex") === one.sha256, `${content.length} bytes that differ`);
    });
  }
}

export type Refusal = { status: number; code: string };

/** Provoke each error, and compare status and code as the model of the error has them. */
export async function errors(causes: Record<number, () => Promise<Refusal>>): Promise<void> {
  for (const [status, provoke] of Object.entries(causes)) {
    await step(`error ${status}`, async () => {
      const refusal = await provoke();
      check(refusal.status === Number(status) && refusal.code === codes[Number(status)], `${refusal.status} ${refusal.code}`);
    });
  }
}

export async function bytesOf(content: unknown): Promise<Uint8Array> {
  check(content instanceof Blob, `not a Blob: ${typeof content}`);
  return new Uint8Array(await content.arrayBuffer());
}
