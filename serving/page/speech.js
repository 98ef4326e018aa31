// Speaks the caption, where the browser has a voice.

const synthesis = window.speechSynthesis;

/** A button that speaks a text, and stops. It is hidden while there is no voice. */
export class Speech {
  constructor(button, text) {
    this.button = button;
    if (!synthesis) return;
    const look = () => (button.hidden = !synthesis.getVoices().length);
    look();
    synthesis.addEventListener("voiceschanged", look); // they may come late
    button.addEventListener("click", () => {
      if (synthesis.speaking) this.stop();
      else this.say(text());
    });
  }

  say(text) {
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = "en";
    utterance.onend = utterance.onerror = () => (this.button.textContent = "Speak");
    this.button.textContent = "Stop";
    synthesis.speak(utterance);
  }

  stop() {
    synthesis?.cancel();
    this.button.textContent = "Speak";
  }
}
