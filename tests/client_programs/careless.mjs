// A client that works on a good day, written with fetch. It breaks: client.idempotency.start-has-key,
// client.retry.transient, client.poll.interval and client.pages.to-end.
// @ts-check
import { base, key, sleep } from "./clock.mjs";

/**
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(path, body) {
  const headers = { Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) };
  const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) };
  return (await fetch(`${base}/v1/${path}`, options)).json();
}

let cases = Array.from({ length: 25 }, (_, index) => `tc_${index}`);
let run = await call("runs", { project_id: "proj_a", environment: "staging", test_case_ids: cases });
while (!["passed", "failed", "error", "canceled"].includes(run.status)) {
  await sleep(0.25);
  run = { ...run, ...(await call(`runs/${run.id}`)) };
}
await call(`results?run_id=${run.id}`);
await call("projects");
