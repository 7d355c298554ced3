// Presentation: the view in full screen with the instruction and the map over it, and nothing else; and
// the order of the parts on phones, where the instruction follows the view.

const get = (id) => document.getElementById(id);

export class Presentation {
  #redraw;
  #places = []; // [element, its parent, the element after it]
  #screen = Promise.resolve(); // ends when the last change of the full screen has

  // `redraw()` draws the step again, because the map has another size.
  constructor(redraw) {
    this.#redraw = redraw;
    // The event of leaving can come after the next presentation has begun, which it must not end.
    document.addEventListener("fullscreenchange", async () => {
      await this.#screen;
      if (!document.fullscreenElement && this.active) this.toggle();
    });
  }

  get active() {
    return document.body.classList.contains("presenting");
  }

  toggle() {
    if (this.active) this.#end();
    else this.#begin();
    this.#redraw();
  }

  #begin() {
    document.body.classList.add("presenting");
    const isMapOnly = document.body.classList.contains("map-only");
    for (const id of isMapOnly ? ["instructions"] : ["instructions", "map"]) {
      const element = get(id);
      this.#places.push([element, element.parentElement, element.nextElementSibling]);
      get("presented").append(element);
    }
    // A page inside of another one may not use the full screen; the view then fills the window.
    this.#change(() => document.documentElement.requestFullscreen?.());
  }

  #end() {
    document.body.classList.remove("presenting");
    for (const [element, parent, next] of this.#places) parent.insertBefore(element, next);
    this.#places = [];
    this.#change(() => document.fullscreenElement && document.exitFullscreen());
  }

  #change(change) {
    this.#screen = this.#screen.then(change).catch(() => {});
  }
}

const narrow = matchMedia("(max-width: 860px)");

// Moves the instruction between view and player on phones, and back on wider screens.
export function fitPhones() {
  const card = get("instruction-card");
  const side = card.parentElement;
  const fit = () => {
    card.classList.toggle("early", narrow.matches);
    if (narrow.matches) get("presented").after(card);
    else side.prepend(card);
    const buttons = [get("walk"), get("custom")];
    if (narrow.matches) get("charts").parentElement.append(...buttons);
    else get("actions").prepend(...buttons);
  };
  narrow.addEventListener("change", fit);
  fit();
}
