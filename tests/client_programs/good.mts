// A client that follows the vendor's advice, written with fetch.

import { randomUUID } from "node:crypto";

import { base, key, sleep, type Page, type Run } from "./clock.mjs";

const TERMINAL = new Set(["passed", "failed", "error", "canceled"]);
const ATTEMPTS = 6;

/** Send a request until it is answered; a POST has an idempotency key. */
async function send(method: string, url: string, body?: object): Promise<string> {
  const headers: Record<string, string> = { Authorization: `Bearer ${key}` };
  if (body) headers["Content-Type"] = "application/json";
  if (method === "POST") headers["Idempotency-Key"] = randomUUID();
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    let wait = 0.5 * 2 ** attempt * (0.5 + Math.random() / 2);
    try {
      const answer = await fetch(new URL(url, `${base}/v1/`), { method, headers, body: body && JSON.stringify(body) });
      const content = await answer.text();
      if (answer.ok) return content;
      if (answer.status !== 429 && answer.status < 500) throw new RangeError(content);
      wait = Number(answer.headers.get("Retry-After") ?? wait);
    } catch (error) {
      if (error instanceof RangeError) throw error;
    }
    await sleep(wait);
  }
  throw new Error(`${method} ${url} failed`);
}

async function call<Answer>(method: string, url: string, body?: object): Promise<Answer> {
  return JSON.parse(await send(method, url, body)) as Answer;
}

async function readList<Item>(path: string, filters: Record<string, string>): Promise<Item[]> {
  const items: Item[] = [];
  const query = new URLSearchParams({ ...filters, limit: "1" });
  for (;;) {
    const page = await call<Page<Item>>("GET", `${path}?${query}`);
    items.push(...page.data);
    if (page.next_cursor === null) return items;
    query.set("starting_after", page.next_cursor);
  }
}

const order = { project_id: "proj_a", environment: "staging", test_case_ids: ["tc_a", "tc_fail"] };
let run = await call<Run>("POST", "runs", order);
for (let pause = 1; !TERMINAL.has(run.status); pause = Math.min(30, pause * 2)) {
  await sleep(pause * (0.6 + 0.4 * Math.random()));
  run = await call<Run>("GET", `runs/${run.id}`);
}
await readList("results", { run_id: run.id });
for (const artifact of await readList<{ url: string }>(`runs/${run.id}/artifacts`, {})) await send("GET", artifact.url);
