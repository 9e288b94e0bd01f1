// The story, told by the client that openapi-generator makes for TypeScript and fetch.
import {
  ArtifactsApi, Configuration, ErrorResponseFromJSON, EventTypeChoice, ExportFormat, ResponseError, ResultsApi, RunsApi,
  WebhooksApi,
} from "./zof";
import { altered, base, bytesOf, cases, check, eachArtifact, errors, key, otherKey, receiver, Refusal, step } from "./steps";

const connect = (url: string, token: string) => new Configuration({ basePath: url, accessToken: token });
const runs = new RunsApi(connect(base, key));
const results = new ResultsApi(connect(base, key));
const artifacts = new ArtifactsApi(connect(base, key));
const webhooks = new WebhooksApi(connect(base, key));
const startRun = { projectId: "proj_abc123", environment: "staging", testCaseIds: new Set(cases) };

async function refusal(promise: Promise<unknown>): Promise<Refusal> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    return { status: error.response.status, code: ErrorResponseFromJSON(await error.response.json()).error.code };
  }
  throw new Error("no error");
}

async function main(): Promise<void> {
  let run = "";
  await step("start", async () => {
    const started = await runs.startRun({ startRun, idempotencyKey: "once" });
    check(started.createdAt instanceof Date && started.startedAt === null);
    run = started.id;
  });
  await step("retry", async () => check((await runs.startRun({ startRun, idempotencyKey: "once" })).id === run));
  await step("poll", async () => {
    let found = await runs.getRun({ id: run });
    while (found.status === "queued" || found.status === "running") found = await runs.getRun({ id: run });
    check(found.status === "failed" && found.completedAt instanceof Date);
  });
  await step("page", async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    for (;;) {
      const page = await runs.listRuns({ limit: 1, startingAfter: cursor });
      seen.push(...page.data.map((one) => one.id));
      if (!page.hasMore) break;
      cursor = page.nextCursor ?? undefined;
    }
    check(seen.length === 3 && new Set(seen).size === 3);
  });
  await step("results", async () => {
    const found = (await results.listResults({ runId: run })).data.filter((one) => one.failureSummary !== null);
    check(found.length === 1 && found[0].failureSummary?.category === "assertion");
  });
  await eachArtifact(
    async () => (await runs.listRunArtifacts({ id: run })).data.map((one) => ({ ...one, media: one.contentType })),
    async (id) => bytesOf(await artifacts.downloadArtifact({ id })),
  );
  await step("export json", async () => {
    const found = await results.exportResults({ exportResults: { format: ExportFormat.Json, runId: run } });
    check(found.data.length === cases.length);
  });
  await step("export csv", async () => {
    const found: unknown = await results.exportResults({ exportResults: { format: ExportFormat.Csv, runId: run } });
    check(typeof found === "string");
  });
  await step("webhook", async () => {
    const created = await webhooks.createWebhook({ createWebhook: { url: receiver, events: new Set([EventTypeChoice.RunCompleted]) } });
    check(created.secret.length >= 16);
    const listed = (await webhooks.listWebhooks()).data;
    check(listed[0].id === created.id && listed.every((one) => !("secret" in one)));
  });
  await step("webhook test", async () => {
    const event = await webhooks.testWebhook({ id: (await webhooks.listWebhooks()).data[0].id });
    check("id" in event && event.type === "run.completed" && event.created instanceof Date);
  });
  await errors({
    400: () => refusal(runs.listRuns({ startingAfter: "made-up" })),
    401: () => refusal(new RunsApi(connect(base, "zof_test_nobody")).listRuns()),
    403: () => refusal(new RunsApi(connect(base, "zof_test_viewer")).startRun({ startRun })),
    404: () => refusal(runs.getRun({ id: "run_none" })),
    409: () => refusal(runs.cancelRun({ id: run })),
    429: () => refusal((async () => { for (let i = 0; i < 300; i++) await runs.listRuns(); })()),
  });
  const other = new RunsApi(connect(altered, otherKey));
  await step("unknown status", async () => check((await other.getRun({ id: "run_sample_passed" })).status === "paused"));
  await step("unknown code", async () => check((await refusal(other.getRun({ id: "run_none" }))).code === "vanished"));
}

void main();
