// Captions pictures with a served model, over REST. Node.js 18 or newer, and nothing else.
//
//   node caption.mjs URL PICTURE...          URL as in http://localhost:8501
//
// Prints one line a picture: its path, a tab, its caption. Exit code 0; 1 where a picture has no
// caption; 2 where the server does not answer.

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const BATCH = 32; // the server's largest batch
const ATTEMPTS = 5;
const TIMEOUT = 30_000; // milliseconds

/** Captions a batch of encoded pictures: [{caption, log_prob, error}], in order. */
async function caption(url, pictures) {
  const instances = pictures.map((picture) => ({ b64: picture.toString("base64") }));
  const request = { method: "POST", body: JSON.stringify({ instances }) };
  for (let attempt = 1; ; attempt++) {
    const signal = AbortSignal.timeout(TIMEOUT);
    const answer = await fetch(new URL("/v1/models/tfcap:predict", url), { ...request, signal });
    const body = await answer.json().catch(() => ({ error: "no JSON" }));
    if (body.predictions) return body.predictions;
    const full = answer.status === 429 || answer.status === 503;
    if (!full || attempt === ATTEMPTS) throw new Error(`${answer.status}: ${body.error}`);
    await sleep(100 * 2 ** attempt * (0.5 + Math.random() / 2));
  }
}

async function main(url, ...paths) {
  let good = true;
  const complain = (message) => {
    console.error(`caption: ${message}`);
    good = false;
  };
  for (let start = 0; start < paths.length; start += BATCH) {
    const batch = [];
    for (const path of paths.slice(start, start + BATCH)) {
      try {
        batch.push({ path, picture: await readFile(path) });
      } catch {
        complain(`${path} cannot be read`);
      }
    }
    if (!batch.length) continue;
    const found = await caption(url, batch.map(({ picture }) => picture));
    found.forEach(({ caption, error }, row) => {
      const { path } = batch[row];
      if (error) complain(`${path}: ${error}`);
      else console.log(`${path}\t${caption}`);
    });
  }
  return good ? 0 : 1;
}

if (process.argv.length < 4) {
  console.error("usage: node caption.mjs URL PICTURE...");
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await main(...process.argv.slice(2));
  } catch (error) {
    console.error(`caption: ${process.argv[2]}: ${error.cause?.message ?? error.message}`);
    process.exitCode = 2;
  }
}
