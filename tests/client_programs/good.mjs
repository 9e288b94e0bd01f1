// A client that follows the vendor's advice, written with fetch.
// @ts-check
import { base, key, sleep } from "./clock.mjs";
import { randomUUID } from "node:crypto";

const TERMINAL = new Set(["passed", "failed", "error", "canceled"]);

/**
 * Send a request until it is answered; a POST needs an idempotency key.
 * @param {string} method
 * @param {string} url
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(method, url, body) {
  /** @type {Record<string, string>} */
  const headers = { Authorization: `Bearer ${key}` };
  if (body) headers["Content-Type"] = "application/json";
  if (method === "POST") headers["Idempotency-Key"] = randomUUID();
  for (let attempt = 0; attempt < 6; attempt += 1) {
    let wait = 0.5 * 2 ** attempt * (0.5 + Math.random() / 2);
    try {
      const answer = await fetch(new URL(url, `${base}/v1/`), { method, headers, body: body && JSON.stringify(body) });
      const content = await answer.text();
      if (answer.ok) return content.startsWith("{") ? JSON.parse(content) : content;
      if (answer.status !== 429 && answer.status < 500) throw new RangeError(content);
      wait = Number(answer.headers.get("Retry-After") ?? wait);
    } catch (error) {
      if (error instanceof RangeError) throw error;
    }
    await sleep(wait);
  }
  throw new Error(`${method} ${url} failed`);
}

let run = await call("POST", "runs", { project_id: "proj_a", environment: "staging", test_case_ids: ["tc_a", "tc_fail"] });
for (let pause = 1; !TERMINAL.has(run.status); pause = Math.min(30, pause * 2)) {
  await sleep(pause * (0.6 + 0.4 * Math.random()));
  run = await call("GET", `runs/${run.id}`);
}
let query = new URLSearchParams({ run_id: run.id, limit: "1" });
for (let page; !page || page.has_more; query.set("starting_after", page.next_cursor)) {
  page = await call("GET", `results?${query}`);
}
for (const artifact of (await call("GET", `runs/${run.id}/artifacts`)).data) await call("GET", artifact.url);
