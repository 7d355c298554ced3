// What the browser remembers of how somebody likes the page. It may be told to remember nothing.

const PREFIX = "clipnav-";

export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return kept.get(name) ?? null;
  }
}

export function store(name, value) {
  kept.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // It lasts as long as the page.
  }
}

const kept = new Map();
