// A client that is wrong in many ways, written with fetch. It breaks: client.idempotency.retry-same,
// client.retry.retry-after, client.poll.stops, client.pages.same-list, client.cancel.once, client.secrets.scheme and
// client.requests.json.

import { base, key, sleep, type Page, type Run } from "./clock.mjs";

async function call<Answer>(method: string, path: string, body?: object): Promise<Answer | undefined> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const headers = {
      Authorization: `${path === "webhooks" ? "Token" : "Bearer"} ${key}`,
      "Idempotency-Key": crypto.randomUUID(),
      "Content-Type": path === "results/export" ? "text/plain" : "application/json",
    };
    const answer = await fetch(`${base}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (answer.status !== 429 && answer.status < 500) return (await answer.json()) as Answer;
    await sleep(0.5 * 2 ** attempt * (0.5 + Math.random() / 2));
  }
  return undefined;
}

const order = { project_id: "proj_a", environment: "staging", test_case_ids: ["tc_a"] };
const run = await call<Run>("POST", "runs", order);
const other = await call<Run>("POST", "runs", { ...order, test_case_ids: ["tc_b", "tc_slow_c", "tc_slow_d"] });
await call("POST", `runs/${other?.id}/cancel`);
await sleep(1);
await call("POST", `runs/${other?.id}/cancel`);
for (let poll = 0; poll < 5; poll += 1) {
  await sleep(1.5);
  await call("GET", `runs/${run?.id}`);
}
const page = await call<Page<Run>>("GET", "runs?limit=1");
await call("GET", `runs?limit=1&status=canceled&starting_after=${page?.next_cursor}`);
await call("POST", "results/export", { format: "csv" });
await call("GET", "webhooks");
for (let count = 0; count < 3; count += 1) await call("GET", "projects");
