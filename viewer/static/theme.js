// Dark or light theme: the system's until the user chooses one. A script in the head of the page
// restores the choice before the first paint.

import { recall, store } from "viewer/preferences.js";

const system = matchMedia("(prefers-color-scheme: dark)");

export function themeButton(button) {
  const dark = () => (recall("theme") ?? (system.matches ? "dark" : "light")) === "dark";
  const update = () => button.setAttribute("aria-pressed", dark());
  button.addEventListener("click", () => {
    store("theme", dark() ? "light" : "dark");
    document.documentElement.dataset.theme = recall("theme");
    update();
  });
  system.addEventListener("change", update);
  update();
}
