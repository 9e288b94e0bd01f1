// A client that works on a good day, written with fetch. It breaks: client.idempotency.start-has-key,
// client.retry.transient, client.poll.interval and client.pages.to-end.

import { base, key, sleep, type Page, type Run } from "./clock.mjs";

async function call<Answer>(path: string, body?: object): Promise<Answer> {
  const headers = { Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) };
  const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) };
  return (await (await fetch(`${base}/v1/${path}`, options)).json()) as Answer;
}

const cases = Array.from({ length: 25 }, (_, index) => `tc_${index}`);
let run: Run = await call<Run>("runs", { project_id: "proj_a", environment: "staging", test_case_ids: cases });
while (!["passed", "failed", "error", "canceled"].includes(run.status)) {
  await sleep(0.25);
  run = { ...run, ...(await call<Partial<Run>>(`runs/${run.id}`)) };
}
await call<Page<object>>(`results?run_id=${run.id}`);
await call<Page<object>>("projects");
