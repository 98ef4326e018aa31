"""What the tests of the page run in the browser, in JavaScript."""

# A voice that says nothing, and writes down what it would say.
VOICE = """
  const spoken = [];
  Object.defineProperty(window, "speechSynthesis", {value: {
    getVoices: () => [{}], addEventListener() {}, cancel() {}, speaking: false,
    speak: (utterance) => spoken.push(utterance.text), spoken,
  }});
"""
# [alpha of the canvas where it is least, its x, its y], as shares of the canvas.
BRIGHTEST = """canvas => {
  const {width, height} = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let found = [256];
  for (let at = 0; at < width * height; at++) {
    const alpha = pixels[4 * at + 3];
    if (alpha < found[0]) found = [alpha, (at % width) / width, Math.floor(at / width) / height];
  }
  return found;
}"""
# Texts whose colour is not 4.5 times as bright or dark as what is behind, large ones 3 times.
TOO_FAINT = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => parse(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    const ground = getComputedStyle(element).backgroundColor;
    return parse(ground)[3] === 0 ? behind(element.parentElement) : ground;
  };
  const texts = [...document.body.querySelectorAll("*")].filter((element) =>
    element.checkVisibility() && [...element.childNodes].some((node) => node.nodeValue?.trim()));
  return texts.map((element) => {
    const style = getComputedStyle(element);
    const [low, high] = [light(style.color), light(behind(element))].sort((a, b) => a - b);
    const large = parseFloat(style.fontSize) >= 24;
    return [(high + 0.05) / (low + 0.05), large ? 3 : 4.5, element.textContent];
  }).filter(([ratio, least]) => ratio < least);
}"""
