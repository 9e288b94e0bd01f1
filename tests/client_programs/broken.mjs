// A client that is wrong in many ways, written with fetch. It breaks: client.idempotency.retry-same,
// client.retry.retry-after, client.poll.stops, client.pages.same-list, client.cancel.once, client.secrets.scheme and
// client.requests.json.
// @ts-check
import { base, key, sleep } from "./clock.mjs";

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(method, path, body) {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const headers = {
      Authorization: `${path === "webhooks" ? "Token" : "Bearer"} ${key}`,
      "Idempotency-Key": crypto.randomUUID(),
      "Content-Type": path === "results/export" ? "text/plain" : "application/json",
    };
    const answer = await fetch(`${base}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (answer.status !== 429 && answer.status < 500) return answer.json();
    await sleep(0.5 * 2 ** attempt * (0.5 + Math.random() / 2));
  }
}

const order = { project_id: "proj_a", environment: "staging", test_case_ids: ["tc_a"] };
const run = await call("POST", "runs", order);
const other = await call("POST", "runs", { ...order, test_case_ids: ["tc_b", "tc_slow_c", "tc_slow_d"] });
await call("POST", `runs/${other.id}/cancel`);
await sleep(1);
await call("POST", `runs/${other.id}/cancel`);
for (let poll = 0; poll < 5; poll += 1) {
  await sleep(1.5);
  await call("GET", `runs/${run.id}`);
}
const page = await call("GET", "runs?limit=1");
await call("GET", `runs?limit=1&status=canceled&starting_after=${page.next_cursor}`);
await call("POST", "results/export", { format: "csv" });
await call("GET", "webhooks");
for (let count = 0; count < 3; count += 1) await call("GET", "projects");
