// Keyboard shortcuts. They work wherever the focus is, except in text fields, lists and dialogs.

// `actions` maps keys to functions; `number(k)` handles the digits. A function that cannot act now
// returns false.
export function addShortcuts(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("dialog")) return;
    if (event.key === "Escape") return actions.Escape();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input[type=search], textarea, select")) return;
    const digit = /^[1-9]$/.test(event.key);
    if (!digit && !Object.hasOwn(actions, event.key)) return;
    // Holding a key down moves through a trajectory, but never repeats an action.
    if (event.repeat && !["[", "]"].includes(event.key)) return;
    const handled = digit ? actions.number(Number(event.key)) : actions[event.key]();
    if (handled !== false) event.preventDefault();
  });
}

const DRIVING = { ArrowUp: 1, ArrowLeft: 2, ArrowRight: 3 };

// Arrow keys of a continuous walk by hand: `act(action)` returns false if the user cannot act now, and
// the keys keep their other meanings, such as looking around.
export function addDriving(act) {
  const drive = (event) => {
    if (!Object.hasOwn(DRIVING, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, dialog")) return;
    if (act(DRIVING[event.key]) === false) return;
    event.preventDefault();
    event.stopPropagation();
  };
  // Before the panorama, whose own listener turns the view.
  document.addEventListener("keydown", drive, { capture: true });
}
