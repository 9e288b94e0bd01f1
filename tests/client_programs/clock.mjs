// What the programs in JavaScript share: where the API is, and how they wait without time passing.
// The comments hold TypeScript's types.
// @ts-check

/** The address of the API, without /v1. */
export const base = process.env.BASE ?? "http://127.0.0.1:9630";
/** The API key. */
export const key = process.env.ZOF_API_KEY ?? "";

/**
 * Wait: the clock of the rig moves.
 * @param {number} seconds
 * @returns {Promise<void>}
 */
export async function sleep(seconds) {
  await fetch(`${base}/clock?seconds=${seconds}`, { method: "POST" });
}
