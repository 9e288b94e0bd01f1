// What the programs in TypeScript share: where the API is, and how they wait without time passing.

/** The address of the API, without /v1. */
export const base: string = process.env.BASE ?? "http://127.0.0.1:9630";
/** The API key. */
export const key: string = process.env.ZOF_API_KEY ?? "";

/** A run, as far as the programs read it. */
export interface Run {
  id: string;
  status: string;
}

/** One page of a list. */
export interface Page<Item> {
  data: Item[];
  has_more: boolean;
  next_cursor: string | null;
}

/** Wait some seconds: the clock of the rig moves. */
export async function sleep(seconds: number): Promise<void> {
  await fetch(`${base}/clock?seconds=${seconds}`, { method: "POST" });
}
