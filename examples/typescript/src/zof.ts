// A client of the Zof API with retries: what a pipeline needs to start a run and to wait for its end.
import { setTimeout as wait } from "node:timers/promises";

export type Order = { project_id: string; environment: string; test_case_ids: string[] };
export type Run = {
  id: string;
  status: string; // the API may add values, so this is no union of those that are known
  case_outcomes: { test_case_id: string; status: string }[];
};

export class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly param?: string) {
    super(message);
  }
}

const ATTEMPTS = 6;
const UNFINISHED = new Set(["queued", "running"]);

export class Zof {
  constructor(
    private readonly baseUrl: string,
    private readonly key: string,
    private readonly sleep: (ms: number) => Promise<unknown> = wait,
  ) {}

  /** Start a run. All starts with the same idempotency key make one run, so this can be repeated safely. */
  start(order: Order, idempotencyKey: string): Promise<Run> {
    return this.call<Run>("/runs", {
      method: "POST",
      body: JSON.stringify(order),
      headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
    });
  }

  /** Poll a run until it has ended. */
  async waitFor(id: string): Promise<Run> {
    for (;;) {
      const run = await this.call<Run>(`/runs/${encodeURIComponent(id)}`);
      if (!UNFINISHED.has(run.status)) return run;
      await this.sleep(2000);
    }
  }

  /** Send a request; repeat it after a lost connection, a 429 and a 5xx. */
  private async call<T>(path: string, options: RequestInit = {}): Promise<T> {
    const headers = { Authorization: `Bearer ${this.key}`, ...options.headers };
    for (let attempt = 1; ; attempt += 1) {
      const backOff = 500 * 2 ** attempt * Math.random();
      try {
        const answer = await fetch(this.baseUrl + path, { ...options, headers });
        const isTransient = answer.status === 429 || answer.status >= 500;
        if (answer.ok) return (await answer.json()) as T;
        if (!isTransient || attempt === ATTEMPTS) throw await readRefusal(answer);
        const seconds = Number(answer.headers.get("Retry-After") ?? NaN);
        await this.sleep(Number.isNaN(seconds) ? backOff : seconds * 1000);
      } catch (error) {
        if (error instanceof Refusal || attempt === ATTEMPTS) throw error;
        await this.sleep(backOff); // the connection was lost, before or after the API did what was asked
      }
    }
  }
}

async function readRefusal(answer: Response): Promise<Refusal> {
  const { error } = (await answer.json()) as { error: { code: string; message: string; param?: string } };
  return new Refusal(answer.status, error.code, error.message, error.param);
}
