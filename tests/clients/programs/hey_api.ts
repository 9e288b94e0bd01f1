// The story, told by the client that @hey-api/openapi-ts makes.
import { createClient } from "./zof/client";
import {
  cancelRun, createWebhook, downloadArtifact, exportResults, getRun, listResults, listRunArtifacts, listRuns, listWebhooks,
  startRun, testWebhook,
} from "./zof";
import type { ErrorResponse } from "./zof";
import { altered, base, bytesOf, cases, check, eachArtifact, errors, key, otherKey, receiver, Refusal, step } from "./steps";

const connect = (url: string, token: string) => createClient({ baseUrl: url, auth: token });
const client = connect(base, key);
const body = { project_id: "proj_abc123", environment: "staging", test_case_ids: cases };
const headers = { "Idempotency-Key": "once" };
type Answer = { error?: ErrorResponse; response?: Response };

async function refusal(promise: Promise<Answer>): Promise<Refusal> {
  const { error, response } = await promise;
  check(error && response, "no error");
  return { status: response.status, code: error.error.code };
}

async function main(): Promise<void> {
  let run = "";
  await step("start", async () => {
    const { data } = await startRun({ client, body, headers });
    check(data && !Number.isNaN(Date.parse(data.created_at)) && data.started_at === null);
    run = data.id;
  });
  await step("retry", async () => check((await startRun({ client, body, headers })).data?.id === run));
  await step("poll", async () => {
    const path = { id: run };
    let found = (await getRun({ client, path })).data;
    while (found?.status === "queued" || found?.status === "running") found = (await getRun({ client, path })).data;
    check(found?.status === "failed" && typeof found.completed_at === "string");
  });
  await step("page", async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    for (;;) {
      const { data } = await listRuns({ client, query: { limit: 1, starting_after: cursor } });
      check(data);
      seen.push(...data.data.map((one) => one.id));
      if (!data.has_more) break;
      cursor = data.next_cursor ?? undefined;
    }
    check(seen.length === 3 && new Set(seen).size === 3);
  });
  await step("results", async () => {
    const { data } = await listResults({ client, query: { run_id: run } });
    const found = data?.data.filter((one) => one.failure_summary !== null);
    check(found?.length === 1 && found[0].failure_summary?.category === "assertion");
  });
  await eachArtifact(
    async () => ((await listRunArtifacts({ client, path: { id: run } })).data?.data ?? []).map((one) => ({ ...one, media: one.content_type })),
    async (id) => bytesOf((await downloadArtifact({ client, path: { id }, parseAs: "blob" })).data),
  );
  await step("export json", async () => {
    const { data } = await exportResults({ client, body: { format: "json", run_id: run } });
    check(data && data.data.length === cases.length);
  });
  await step("export csv", async () => {
    const data: unknown = (await exportResults({ client, body: { format: "csv", run_id: run } })).data;
    check(typeof data === "string");
  });
  await step("webhook", async () => {
    const created = (await createWebhook({ client, body: { url: receiver, events: ["run.completed"] } })).data;
    check(created && created.secret.length >= 16);
    const listed = (await listWebhooks({ client })).data?.data;
    check(listed && listed[0].id === created.id && listed.every((one) => !("secret" in one)));
  });
  await step("webhook test", async () => {
    const newest = (await listWebhooks({ client })).data?.data[0];
    check(newest);
    const event = (await testWebhook({ client, path: { id: newest.id } })).data;
    check(event && "id" in event && event.type === "run.completed");
  });
  await errors({
    400: () => refusal(listRuns({ client, query: { starting_after: "made-up" } })),
    401: () => refusal(listRuns({ client: connect(base, "zof_test_nobody") })),
    403: () => refusal(startRun({ client: connect(base, "zof_test_viewer"), body })),
    404: () => refusal(getRun({ client, path: { id: "run_none" } })),
    409: () => refusal(cancelRun({ client, path: { id: run } })),
    429: async () => {
      for (;;) {
        const answer = await listRuns({ client });
        if (answer.error) return refusal(Promise.resolve(answer));
      }
    },
  });
  const other = connect(altered, otherKey);
  await step("unknown status", async () => {
    check((await getRun({ client: other, path: { id: "run_sample_passed" } })).data?.status === "paused");
  });
  await step("unknown code", async () => {
    check((await refusal(getRun({ client: other, path: { id: "run_none" } }))).code === "vanished");
  });
}

void main();
