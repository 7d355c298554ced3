// The user's preferences, stored in the browser. The browser's settings may forbid storage; the
// preferences then last until the page is closed.

const PREFIX = "clipnav-";

export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return unstored.get(name) ?? null;
  }
}

export function store(name, value) {
  unstored.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // Storage is forbidden; `unstored` holds the value.
  }
}

const unstored = new Map();
