// The live status, from /readyz.

const EVERY = 15_000;

function show(name, ok, text) {
  for (const element of document.querySelectorAll(`[data-status="${name}"]`)) {
    const dot = document.createElement('span');
    dot.className = ok === null ? 'dot' : ok ? 'dot good' : 'dot bad';
    if (element.textContent !== text || !element.firstElementChild.matches(`.${dot.className.split(' ').join('.')}`)) element.replaceChildren(dot, text);
  }
}

async function look() {
  try {
    const answer = await (await fetch('/readyz', { cache: 'no-store' })).json();
    show('database', answer.database, answer.database ? 'Answers' : 'Does not answer');
    show('listening', answer.listening, answer.listening ? 'Yes' : 'Not yet');
  } catch {
    show('database', false, 'Not reachable');
    show('listening', false, 'Not reachable');
  }
}

/** Looks now, and again while the page is seen. */
export function watchStatus() {
  look();
  setInterval(() => { if (!document.hidden) look(); }, EVERY);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
}
