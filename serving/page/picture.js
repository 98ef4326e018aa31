// Makes of a file what is sent to the server.

import { Problem } from "./server.js";

const LONGEST = 1024; // pixels; models look at less
const QUALITY = 0.92;
const SERVED = new Set(["image/jpeg", "image/png", "image/gif", "image/bmp", "image/webp"]);

/**
 * Returns what is sent of a picture: the file itself, or, where it is larger than the model needs
 * or of a format that only browsers read, a JPEG of it. The file itself too where this fails.
 */
export async function prepare(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode(); // upright, as EXIF says
    const scale = LONGEST / Math.max(image.naturalWidth, image.naturalHeight);
    return scale >= 1 && SERVED.has(file.type) ? file : await draw(image, Math.min(scale, 1));
  } catch {
    return file;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Returns the bytes of a blob in base64. */
export function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Problem("This file cannot be read: choose it once more."));
    reader.readAsDataURL(blob);
  });
}

async function draw(image, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // what the server puts behind transparent pixels
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (!blob) throw new Error("the canvas has no room");
  return blob;
}
