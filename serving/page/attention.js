// Attention maps: where they point, in words, and as smooth fields that can be drawn.
//
// A map is an array of h rows of w numbers, which are 1 in sum, or all 0 of a model without any.

const PLACES = [
  ["the upper left", "the top", "the upper right"],
  ["the left", "the centre", "the right"],
  ["the lower left", "the bottom", "the lower right"],
];
const ROWS = ["along the top", "across the middle", "along the bottom"];
const COLUMNS = ["along the left", "down the middle", "along the right"];
// Shares of attention: an even map gives each ninth of the picture 0.11, and each third 0.33.
const MOST_IN_NINTH = 0.4;
const SOME_IN_NINTH = 0.25;
const MOST_IN_THIRD = 0.5;

/** Tells whether a map says anything. */
export function isSomewhere(map) {
  return map.some((row) => row.some((value) => value > 0));
}

/** Returns where a map points: "at the upper left", say. */
export function describePlace(map) {
  const ninths = PLACES.map((row) => row.map(() => 0));
  map.forEach((row, y) =>
    row.forEach((value, x) => {
      ninths[third(y, map.length)][third(x, row.length)] += value;
    }),
  );
  const [share, place] = largest(ninths.flat(), PLACES.flat());
  if (share >= MOST_IN_NINTH) return `at ${place}`;
  if (share >= SOME_IN_NINTH) return `mostly at ${place}`;
  const rows = ninths.map((row) => sum(row));
  const columns = ninths.map((_, x) => sum(ninths.map((row) => row[x])));
  const [most, band] = largest([...rows, ...columns], [...ROWS, ...COLUMNS]);
  return most >= MOST_IN_THIRD ? band : "all over the picture";
}

/** Returns a map as a field of `width` times `height` values in rows, 1 where it is largest. */
export function toField(map, width, height) {
  const across = spline(map[0].length, width);
  const down = spline(map.length, height);
  const rows = map.map((row) => across.map((blend) => mix(blend, (cell) => row[cell])));
  const field = new Float32Array(width * height);
  let peak = 0;
  down.forEach((blend, y) => {
    for (let x = 0; x < width; x++) {
      const value = mix(blend, (cell) => rows[cell][x]);
      field[y * width + x] = value;
      peak = Math.max(peak, value);
    }
  });
  return field.map((value) => value / peak);
}

function largest(shares, names) {
  const share = Math.max(...shares);
  return [share, names[shares.indexOf(share)]];
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function third(cell, cells) {
  return Math.floor((3 * (cell + 0.5)) / cells);
}

/** Returns for each of `size` places along a line of cells which four it blends, and how much. */
function spline(cells, size) {
  return Array.from({ length: size }, (_, place) => {
    const x = ((place + 0.5) * cells) / size - 0.5;
    const first = Math.floor(x);
    const t = x - first;
    // The uniform cubic B-spline; cells at the edge go on beyond it.
    const weights = [
      (1 - t) ** 3 / 6,
      (3 * t ** 3 - 6 * t ** 2 + 4) / 6,
      (-3 * t ** 3 + 3 * t ** 2 + 3 * t + 1) / 6,
      t ** 3 / 6,
    ];
    const inside = (cell) => Math.min(Math.max(cell, 0), cells - 1);
    return { weights, cells: [-1, 0, 1, 2].map((step) => inside(first + step)) };
  });
}

function mix({ weights, cells }, value) {
  return sum(weights.map((weight, at) => weight * value(cells[at])));
}
