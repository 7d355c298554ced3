// Keys that work wherever the focus is, except where somebody types.

// `acts`: what each key does, and `number(k)` for the digits. An act that is not possible returns
// false.
export function keys(acts) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return acts.Escape();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input[type=search], textarea, select, dialog")) return;
    const digit = /^[1-9]$/.test(event.key);
    if (!digit && !Object.hasOwn(acts, event.key)) return;
    // A key that is held down moves on along a walk, but makes no steps of one's own.
    if (event.repeat && !["[", "]"].includes(event.key)) return;
    const done = digit ? acts.number(Number(event.key)) : acts[event.key]();
    if (done !== false) event.preventDefault();
  });
}
