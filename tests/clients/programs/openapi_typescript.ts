// The story, told with the types that openapi-typescript makes, and openapi-fetch.
import createClient from "openapi-fetch";
import type { components, paths } from "./zof";
import { altered, base, bytesOf, cases, check, eachArtifact, errors, key, otherKey, receiver, Refusal, step } from "./steps";

const connect = (url: string, token: string) =>
  createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
const api = connect(base, key);
const body = { project_id: "proj_abc123", environment: "staging", test_case_ids: cases };
const header = { "Idempotency-Key": "once" };
type Answer = { error?: components["schemas"]["ErrorResponse"]; response: Response };

async function refusal(promise: Promise<Answer>): Promise<Refusal> {
  const { error, response } = await promise;
  check(error, "no error");
  return { status: response.status, code: error.error.code };
}

async function main(): Promise<void> {
  let run = "";
  await step("start", async () => {
    const { data } = await api.POST("/runs", { body, params: { header } });
    check(data && !Number.isNaN(Date.parse(data.created_at)) && data.started_at === null);
    run = data.id;
  });
  await step("retry", async () => check((await api.POST("/runs", { body, params: { header } })).data?.id === run));
  await step("poll", async () => {
    const params = { path: { id: run } };
    let found = (await api.GET("/runs/{id}", { params })).data;
    while (found?.status === "queued" || found?.status === "running") found = (await api.GET("/runs/{id}", { params })).data;
    check(found?.status === "failed" && typeof found.completed_at === "string");
  });
  await step("page", async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    for (;;) {
      const { data } = await api.GET("/runs", { params: { query: { limit: 1, starting_after: cursor } } });
      check(data);
      seen.push(...data.data.map((one) => one.id));
      if (!data.has_more) break;
      cursor = data.next_cursor ?? undefined;
    }
    check(seen.length === 3 && new Set(seen).size === 3);
  });
  await step("results", async () => {
    const { data } = await api.GET("/results", { params: { query: { run_id: run } } });
    const found = data?.data.filter((one) => one.failure_summary !== null);
    check(found?.length === 1 && found[0].failure_summary?.category === "assertion");
  });
  await eachArtifact(
    async () => {
      const { data } = await api.GET("/runs/{id}/artifacts", { params: { path: { id: run } } });
      return (data?.data ?? []).map((one) => ({ ...one, media: one.content_type }));
    },
    async (id) => bytesOf((await api.GET("/artifacts/{id}/content", { params: { path: { id } }, parseAs: "blob" })).data),
  );
  await step("export json", async () => {
    const { data } = await api.POST("/results/export", { body: { format: "json", run_id: run } });
    check(typeof data === "object" && data.data.length === cases.length);
  });
  await step("export csv", async () => {
    const { data } = await api.POST("/results/export", { body: { format: "csv", run_id: run }, parseAs: "text" });
    check(typeof data === "string");
  });
  await step("webhook", async () => {
    const created = (await api.POST("/webhooks", { body: { url: receiver, events: ["run.completed"] } })).data;
    check(created && created.secret.length >= 16);
    const listed = (await api.GET("/webhooks")).data?.data;
    check(listed && listed[0].id === created.id && listed.every((one) => !("secret" in one)));
  });
  await step("webhook test", async () => {
    const newest = (await api.GET("/webhooks")).data?.data[0];
    check(newest);
    const event = (await api.POST("/webhooks/{id}/test", { params: { path: { id: newest.id } } })).data;
    check(event && "id" in event && event.type === "run.completed");
  });
  await errors({
    400: () => refusal(api.GET("/runs", { params: { query: { starting_after: "made-up" } } })),
    401: () => refusal(connect(base, "zof_test_nobody").GET("/runs")),
    403: () => refusal(connect(base, "zof_test_viewer").POST("/runs", { body })),
    404: () => refusal(api.GET("/runs/{id}", { params: { path: { id: "run_none" } } })),
    409: () => refusal(api.POST("/runs/{id}/cancel", { params: { path: { id: run } } })),
    429: async () => {
      for (;;) {
        const answer = await api.GET("/runs");
        if (answer.error) return refusal(Promise.resolve(answer));
      }
    },
  });
  const other = connect(altered, otherKey);
  await step("unknown status", async () => {
    check((await other.GET("/runs/{id}", { params: { path: { id: "run_sample_passed" } } })).data?.status === "paused");
  });
  await step("unknown code", async () => {
    check((await refusal(other.GET("/runs/{id}", { params: { path: { id: "run_none" } } }))).code === "vanished");
  });
}

void main();
