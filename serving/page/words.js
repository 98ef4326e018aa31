// The words of a caption as radio buttons: Tab reaches them, arrow keys go through them.

const STEP = 1000; // milliseconds of a word that is played

/** The words, of which one at most is shown; null is the whole picture. */
export class Words {
  /** `show` is called with the word, an object of `set`, or null. */
  constructor(group, play, show) {
    this.group = group;
    this.play = play;
    this.show = show;
    this.words = [];
    this.timer = 0;
    play.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
    group.addEventListener("change", () => {
      this.stop();
      this.showChosen();
    });
    // A mouse only looks; a finger chooses, by the click that follows.
    group.addEventListener("pointerover", (event) => {
      const label = event.target.closest("label");
      if (label && event.pointerType === "mouse") this.show(this.words[label.dataset.at]);
    });
    group.addEventListener("pointerleave", () => this.showChosen());
  }

  /** Takes the words, [{text, sure, about}]: how sure the model is, and all that is known of it. */
  set(words) {
    this.stop();
    this.words = [null, ...words];
    this.group.replaceChildren(...this.words.map(makeRadio));
    this.showChosen();
  }

  start() {
    this.play.textContent = "Stop";
    const radios = [...this.group.querySelectorAll("input")];
    const turn = (at) => {
      radios[at % radios.length].checked = true;
      this.showChosen();
      if (at < radios.length) this.timer = setTimeout(turn, STEP, at + 1);
      else this.stop();
    };
    turn(1);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.play.textContent = "Play";
  }

  showChosen() {
    this.show(this.words[this.group.querySelector(":checked").value]);
  }
}

function makeRadio(word, at) {
  const label = document.createElement("label");
  const radio = document.createElement("input");
  Object.assign(radio, { type: "radio", name: "word", value: at, checked: at === 0 });
  label.dataset.at = at;
  if (word) {
    const text = document.createElement("span");
    text.lang = "en";
    text.textContent = word.text;
    const about = document.createElement("span");
    about.className = "unseen";
    about.textContent = `: ${word.about}`;
    label.style.setProperty("--sure", word.sure);
    label.append(text, about);
  } else {
    label.className = "whole";
    label.textContent = "whole picture";
  }
  label.append(radio);
  return label;
}
