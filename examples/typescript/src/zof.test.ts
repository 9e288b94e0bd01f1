// Tests of the client against the emulator: zof-emulator exec -- npm test
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { Refusal, Zof } from "./zof.js";

const { ZOF_EMULATOR_URL: emulator, ZOF_API_KEY: key } = process.env as Record<string, string>;
const order = { project_id: "proj_shop", environment: "staging", test_case_ids: ["tc_login_001", "tc_pay_fail_002"] };

async function control(url: string, body: object): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, await answer.text());
}

/** A world of the emulator for one test, with runs, a clock and a journal of its own. Its clock never makes a test wait. */
async function makeWorld(name: string) {
  await control(`${emulator}/_emulator/worlds`, { name, clock: "auto", scenario: "empty" });
  const url = `${emulator}/w/${name}`;
  const slept: number[] = [];
  const sleep = async (ms: number) => { slept.push(ms); };
  const verify = (expected: object) => control(`${url}/_emulator/journal/verify`, expected);
  return { url, slept, sleep, verify, base: `${url}/v1`, client: new Zof(`${url}/v1`, key, sleep) };
}

test("a run is followed to its end", async () => {
  const world = await makeWorld("follow");
  const started = await world.client.start(order, "build-1");
  const ended = await world.client.waitFor(started.id);
  assert.equal(ended.status, "failed");
  assert.deepEqual(ended.case_outcomes.map((one) => one.status), ["passed", "failed"]);
});

test("a start whose answer is lost is repeated, and makes one run", async () => {
  const world = await makeWorld("lost");
  const lost = { match: { operation: "startRun" }, schedule: { first: 1 }, place: "after", effect: { reset: true } };
  await control(`${world.url}/_emulator/faults`, lost); // the API starts the run, and then the connection is reset
  const started = await world.client.start(order, "build-2");
  await world.verify({ operation: "startRun", exactly: 2 });
  const listed = await fetch(`${world.base}/runs`, { headers: { Authorization: `Bearer ${key}` } });
  const { data } = (await listed.json()) as { data: { id: string }[] };
  assert.deepEqual(data.map((run) => run.id), [started.id]);
});

test("after a 429 the client waits as long as Retry-After says", async () => {
  const world = await makeWorld("limited");
  const ask = () => fetch(`${world.base}/projects`, { headers: { Authorization: `Bearer ${key}` } });
  let left = Infinity;
  while (left > 0) left = Number((await ask()).headers.get("X-RateLimit-Remaining"));
  await world.client.start(order, "build-3");
  assert.deepEqual(world.slept, [60_000]);
  await world.verify({ operation: "startRun", status: 429, exactly: 1 });
});

test("a refusal has its code and the input that is to blame", async () => {
  const world = await makeWorld("refused");
  await assert.rejects(world.client.start({ ...order, environment: "nowhere" }, "build-4"), (error) => {
    assert.ok(error instanceof Refusal);
    assert.deepEqual([error.status, error.code, error.param], [400, "invalid_request", "environment"]);
    return true;
  });
  await world.verify({ operation: "startRun", exactly: 1 });
});

test("a webhook tells of the end of a run, and is signed", async () => {
  const world = await makeWorld("webhook");
  const bodies: { body: Buffer; signature: string }[] = [];
  const receiver = createServer(async (request, response) => {
    bodies.push({ body: await buffer(request), signature: String(request.headers["x-zof-signature"]) });
    response.writeHead(204).end();
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address() as { port: number };
  const created = await fetch(`${world.base}/webhooks`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ url: `http://127.0.0.1:${port}/`, events: ["run.completed"] }),
  });
  const { secret } = (await created.json()) as { secret: string };
  const run = await world.client.start(order, "build-5");
  await world.client.waitFor(run.id);
  await control(`${world.url}/_emulator/clock/advance`, { until: "delivered" });
  receiver.close();
  receiver.closeAllConnections();
  const [delivered] = bodies;
  assert.equal(createHmac("sha256", secret).update(delivered.body).digest("hex"), delivered.signature);
  assert.equal(JSON.parse(delivered.body.toString()).data.object.run_id, run.id);
});
