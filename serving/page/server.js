// Asks the server that this page came from, over the REST API of TF Serving.

const BUSY = new Map([
  [408, "The picture did not reach the server in time: try again."],
  [429, "The server is busy: try again in a moment."],
  [502, "The server does not answer: try again in a moment."],
  [503, "The server has no room, or is starting or stopping: try again in a moment."],
  [504, "The server took too long: try again in a moment."],
]);

/** What a person can be told in one sentence; `temporary` where trying again may help. */
export class Problem extends Error {
  constructor(message, temporary = false) {
    super(message);
    this.temporary = temporary;
  }
}

let about = null;

/**
 * Runs one signature of the model on one picture.
 *
 * `inputs` are those of the signature by name; returns its outputs by name. Throws a Problem, or
 * an AbortError once `signal` is aborted.
 */
export async function predict(signature, inputs, signal) {
  const { model, max_request_bytes: most } = await describe(signal);
  const body = JSON.stringify({ signature_name: signature, instances: [inputs] });
  if (body.length > most) throw tooLarge(most); // the texts beside the picture are short
  const path = `v1/models/${encodeURIComponent(model)}:predict`;
  const [row] = (await ask(path, { method: "POST", body, signal }, most)).predictions;
  if (row.error) throw new Problem(sentence(row.error));
  return row;
}

/** Throws a Problem where a picture is so large that the server cannot take it. */
export async function checkSize(blob, signal) {
  const { max_request_bytes: most } = await describe(signal);
  if (blob.size * (4 / 3) > most) throw tooLarge(most);
}

async function describe(signal) {
  about ??= await ask("page.json", { signal });
  return about;
}

async function ask(path, request, most) {
  let answer, content;
  try {
    answer = await fetch(path, request);
    content = await answer.json().catch((error) => {
      if (error instanceof SyntaxError) return {}; // a proxy's page, say
      throw error;
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer: see whether it runs, and try again.", true);
  }
  if (answer.ok) return content;
  if (answer.status === 413) throw tooLarge(most);
  if (BUSY.has(answer.status)) throw new Problem(BUSY.get(answer.status), true);
  throw new Problem(`The server cannot do this: ${content.error ?? `status ${answer.status}`}.`);
}

function tooLarge(bytes) {
  const most = Math.floor((bytes * (3 / 4)) / 1e5) / 10;
  return new Problem(`The picture is too large: choose one of less than ${most} MB.`);
}

/** Makes a sentence of what the model says of a row, which names its inputs. */
function sentence(error) {
  const named = error.replace(/^image_bytes/, "This picture").replace(/^prompt/, "The beginning");
  return `${named}.`;
}
