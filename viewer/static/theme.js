// Dark or light: as the system has it, until somebody chooses. What was chosen is restored by a
// line in the head of the page, before anything is painted.

import { recall, store } from "viewer/memory.js";

const system = matchMedia("(prefers-color-scheme: dark)");

export function themeButton(button) {
  const dark = () => (recall("theme") ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", dark());
  button.addEventListener("click", () => {
    store("theme", dark() ? "light" : "dark");
    document.documentElement.dataset.theme = recall("theme");
    show();
  });
  system.addEventListener("change", show);
  show();
}
