// Draws attention over the picture: bright where the model looked, shaded elsewhere.

import { toField } from "./attention.js";

const LONGEST = 360; // pixels of the canvas, which the browser stretches over the picture
const SHADE = 0.78; // opacity of the black where nothing was looked at
const EDGE = 0.5; // of the peak, where a line is drawn, which shows on dark pictures too
const TURN = 220; // milliseconds from one word to the next
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

/** A canvas that lies over the picture. */
export class Spotlight {
  constructor(canvas) {
    this.canvas = canvas;
    this.fields = new Map(); // by attention map, as words are come back to
    this.shown = null;
    this.frame = 0;
  }

  /** Begins with another picture, of so many pixels. */
  reset(width, height) {
    const scale = LONGEST / Math.max(width, height);
    cancelAnimationFrame(this.frame);
    this.canvas.width = Math.max(1, Math.round(width * scale)); // which clears it
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.fields.clear();
    this.shown = null;
  }

  /** Shows an attention map; null shows the whole picture. */
  show(map) {
    cancelAnimationFrame(this.frame);
    const { width, height } = this.canvas;
    if (map && !this.fields.has(map)) this.fields.set(map, toField(map, width, height));
    const everywhere = () => new Float32Array(width * height).fill(1);
    const from = this.shown ?? everywhere();
    const to = map ? this.fields.get(map) : everywhere();
    if (stillness.matches) {
      this.draw(to);
      return;
    }
    const start = performance.now();
    const step = (now) => {
      const part = Math.min(Math.max((now - start) / TURN, 0), 1);
      this.draw(part < 1 ? to.map((value, at) => from[at] + part * (value - from[at])) : to);
      if (part < 1) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  draw(field) {
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const pixels = context.createImageData(width, height);
    field.forEach((value, at) => {
      const shade = SHADE * (1 - value) ** 1.5;
      const line = nearEdge(value, field[at + 1] ?? value, field[at + width] ?? value);
      const opacity = line + shade * (1 - line); // white over black
      const grey = opacity && (255 * line) / opacity;
      pixels.data.set([grey, grey, grey, 255 * opacity], 4 * at);
    });
    context.putImageData(pixels, 0, 0);
    this.shown = field;
  }
}

/** Returns 1 on the line where the field passes EDGE, 0 a pixel beside it, by its neighbours. */
function nearEdge(value, right, below) {
  const slope = Math.hypot(right - value, below - value);
  return slope && Math.max(0, 1 - Math.abs(value - EDGE) / slope);
}
