// The page: takes a picture, and shows what the server's model says of it.

import { describePlace, isSomewhere } from "./attention.js";
import { prepare, toBase64 } from "./picture.js";
import { checkSize, predict, Problem } from "./server.js";
import { Speech } from "./speech.js";
import { Spotlight } from "./spotlight.js";
import { Words } from "./words.js";

const $ = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });

const spotlight = new Spotlight($("attention"));
const speech = new Speech($("speak"), () => $("caption").textContent);
const words = new Words($("words"), $("play"), (word) => {
  spotlight.show(word?.map ?? null);
  $("detail").textContent = word ? `${word.text}: ${word.about}` : "";
});

let picture = null; // {file, bytes}: the one on the page, and its base64 once it is read
let looking = new AbortController(); // stops what is under way for the last picture
let completing = new AbortController();

/** Takes a picture in place of the one on the page. */
async function take(file) {
  looking.abort();
  looking = new AbortController();
  const { signal } = looking;
  clear();
  picture = { file, bytes: null };
  $("progress").textContent = "Looking at the picture…";
  try {
    await look(picture, signal);
  } catch (error) {
    if (!signal.aborted) tell($("problem"), error);
  } finally {
    if (!signal.aborted) $("progress").textContent = "";
  }
}

async function look(picture, signal) {
  const blob = await prepare(picture.file);
  if (signal.aborted) return;
  await preview(blob, signal);
  await checkSize(blob, signal);
  picture.bytes = { b64: await toBase64(blob) };
  const explained = await predict("explain", { image_bytes: picture.bytes }, signal);
  say(explained);
  const best = await predict("beam", { image_bytes: picture.bytes }, signal);
  rank(best);
}

/** Shows a picture, where the browser can; the server may read it all the same. */
async function preview(blob, signal) {
  const image = $("preview");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  const seen = await image.decode().then(() => true, () => false);
  if (signal.aborted) return;
  $("frame").hidden = !seen;
  document.body.classList.toggle("with-picture", seen);
  if (!seen) return;
  $("frame").style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  spotlight.reset(image.naturalWidth, image.naturalHeight);
}

function clear() {
  completing.abort();
  speech.stop();
  words.stop();
  for (const id of ["progress", "caption", "problem", "completed", "prompt-problem"]) {
    $(id).textContent = "";
  }
  for (const id of ["waiting", "said", "more", "again", "best"]) $(id).hidden = true;
  $("preview").alt = "The picture you gave";
}

/** Shows the caption, and its words with the attention of each. */
function say({ caption, tokens, log_probs: logProbs, attention }) {
  // A caption of no words is an answer too.
  $("caption").textContent = caption || "(The model says nothing.)";
  $("said").hidden = false;
  $("more").hidden = false;
  if (caption) $("preview").alt = caption;
  const attends = isSomewhere(attention.flat());
  const said = tokens.filter((token) => token).map((text, at) => {
    const sure = Math.exp(logProbs[at]);
    const place = attends ? `, looking ${describePlace(attention[at])}` : "";
    const about = `${percent.format(sure)} sure${place}`;
    return { text, sure, about, map: attends ? attention[at] : null };
  });
  words.set(said);
}

/** Lists the best captions, and how likely each is beside the likeliest. */
function rank({ captions, log_probs: logProbs }) {
  const likeliest = Math.max(...logProbs);
  const items = captions.map((caption, at) => {
    const share = Math.exp(logProbs[at] - likeliest);
    const item = document.createElement("li");
    const text = document.createElement("span");
    text.lang = "en";
    text.textContent = caption;
    const likely = document.createElement("span");
    likely.className = "share";
    likely.textContent = percent.format(share);
    likely.style.setProperty("--share", share);
    item.append(text, " ", likely);
    return item;
  });
  $("captions").replaceChildren(...items);
  $("best").hidden = false;
}

async function complete(prompt) {
  completing.abort();
  completing = new AbortController();
  const { signal } = completing;
  $("completed").textContent = $("prompt-problem").textContent = "";
  try {
    const inputs = { image_bytes: picture.bytes, prompt };
    $("completed").textContent = (await predict("complete", inputs, signal)).caption;
  } catch (error) {
    if (!signal.aborted) tell($("prompt-problem"), error);
  }
}

/** Says in one sentence what went wrong. */
function tell(place, error) {
  const known = error instanceof Problem;
  if (!known) console.error(error);
  place.textContent = known ? error.message : "This page has made a mistake: load it again.";
  if (place === $("problem")) $("again").hidden = !(known && error.temporary);
}

/** Takes the first file of what was dropped or pasted; returns whether there is one. */
function takeFrom(transfer) {
  const [file] = transfer.files;
  if (file) take(file);
  return Boolean(file);
}

for (const id of ["file", "camera"]) {
  $(id).addEventListener("change", () => {
    takeFrom($(id));
    $(id).value = ""; // so that the same file can be chosen again
  });
}
$("again").addEventListener("click", () => {
  $("caption-title").focus(); // the button goes away
  take(picture.file);
});
$("complete").addEventListener("submit", (event) => {
  event.preventDefault();
  complete($("prompt").value);
});
document.addEventListener("paste", (event) => {
  if (takeFrom(event.clipboardData)) event.preventDefault();
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (!takeFrom(event.dataTransfer)) {
    const message = "What was dropped is no file: save the picture first, then choose it.";
    tell($("problem"), new Problem(message));
  }
});
