// Requests whose answers change what is shown: the last one counts, and one that fails is told of.

const get = (id) => document.getElementById(id);
let asked = 0;

// Calls `show(answer)` unless something else was asked for meanwhile.
export async function latest(request, show) {
  const mine = (asked += 1);
  let answer;
  try {
    answer = await request();
  } catch (error) {
    if (mine === asked) notice(error.message);
    return;
  }
  if (mine === asked) await show(answer);
}

export function notice(text) {
  get("notice").textContent = text;
  get("notice").hidden = !text;
}
