// Requests whose answers change the page: only the newest one counts, and errors are displayed.

const get = (id) => document.getElementById(id);
let newest = 0;

// Calls `show(answer)` unless a newer request has started.
export async function latest(request, show) {
  const own = (newest += 1);
  let answer;
  try {
    answer = await request();
  } catch (error) {
    if (own === newest) showNotice(error.message);
    return;
  }
  if (own === newest) await show(answer);
}

export function showNotice(text) {
  // Not the first letter of a file name, a flag or a key, with which other messages start.
  const sentence = text.replace(/^[a-z]+(?=[ ,])/, (word) => word[0].toUpperCase() + word.slice(1));
  get("notice").textContent = sentence;
  get("notice").hidden = !text;
}
