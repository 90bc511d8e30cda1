// Small tools for the pages. Everything that is shown is set as text, never as HTML.

/** The elements of a copied template by their data-x. */
export function copyOf(id) {
  const root = document.getElementById(id).content.firstElementChild.cloneNode(true);
  return { root, ...parts(root) };
}

/** The elements below a root by their data-x. */
export function parts(root) {
  const found = {};
  for (const element of root.querySelectorAll('[data-x]')) found[element.dataset.x.replace(/-(.)/g, (_, letter) => letter.toUpperCase())] = element;
  return found;
}

/** An element with attributes and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A message at the bottom, with an action while it stands. Failures stay until they are closed. */
export function toast(text, { action, onAction, stay = false } = {}) {
  const box = make('div', { class: 'toast' }, make('span', {}, text));
  const remove = () => box.remove();
  if (action) box.append(make('button', { class: 'link', type: 'button', onclick: () => { remove(); onAction(); } }, action));
  if (stay) box.append(make('button', { class: 'link', type: 'button', onclick: remove }, 'Close'));
  else setTimeout(remove, 10_000);
  const toasts = document.getElementById('toasts');
  while (toasts.children.length > 2) toasts.firstChild.remove();
  toasts.append(box);
}

/** Makes a button copy a text, and say so. */
export function copies(button, text, what = 'Copy') {
  const say = (name, label) => button.replaceChildren(icon(name), label);
  say('copy', 'Copy');
  button.setAttribute('aria-label', what);
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === 'function' ? text() : text);
      say('check', 'Copied');
      button.setAttribute('aria-label', 'Copied');
      setTimeout(() => { say('copy', 'Copy'); button.setAttribute('aria-label', what); }, 2000);
    } catch {
      toast('Your browser does not let pages copy. Select the text and copy it by hand.', { stay: true });
    }
  };
}

/** Gives every block of code below a root a copy button. */
export function copyableCode(root) {
  for (const figure of root.querySelectorAll('figure.code')) {
    const caption = figure.querySelector('figcaption');
    if (caption.querySelector('.copy')) continue;
    const button = make('button', { class: 'copy', type: 'button' });
    caption.append(button);
    copies(button, () => figure.querySelector('pre').textContent, 'Copy the code');
  }
}

/** Runs work with its button busy, so that nothing is sent twice. */
export async function busy(button, work) {
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  try {
    return await work();
  } finally {
    button.removeAttribute('aria-busy');
  }
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' });
const UNITS = [['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3600], ['minute', 60]];

/** A moment as distance from now, with the moment itself on hover. */
export function moment(element, text) {
  const time = new Date(text);
  const seconds = (time - Date.now()) / 1000;
  const unit = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  element.textContent = unit ? relative.format(Math.round(seconds / unit[1]), unit[0]) : seconds > 0 ? 'in a moment' : 'just now';
  element.title = absolute.format(time);
  if (element instanceof HTMLTimeElement) element.dateTime = text;
  return element;
}

/** Puts a failure into words beside the fields that it names, or above the form. */
export function showFailure(form, failure) {
  clearFailure(form);
  let first = null;
  const rest = [];
  for (const error of failure.fields) {
    const name = error.pointer.split('/').pop();
    const input = [...form.elements].find((element) => element.name === name && element.type !== 'radio');
    if (!input) { rest.push(error); continue; }
    const label = input.labels?.[0]?.textContent.trim() || name;
    const detail = /^[a-z]/.test(error.detail) ? `${label} ${error.detail}` : error.detail;
    markField(input, /[.!?]$/.test(detail) ? detail : `${detail}.`);
    first ||= input;
  }
  if (!failure.fields.length || rest.length) {
    const box = make('p', { class: 'form-error', role: 'alert' }, failure.message);
    if (failure.page && failure.status !== 401) box.append(' ', make('a', { href: failure.page }, 'About this error'));
    const heading = form.querySelector('h2');
    if (heading) heading.after(box); else form.prepend(box);
  }
  first?.focus();
}

/** A message beside one field. */
export function markField(input, text) {
  const id = `${input.id}-error`;
  input.setAttribute('aria-invalid', 'true');
  input.dataset.describedBefore ??= input.getAttribute('aria-describedby') || '';
  input.setAttribute('aria-describedby', `${id} ${input.dataset.describedBefore}`.trim());
  input.after(make('p', { class: 'field-error', id, role: 'alert' }, text));
}

export function clearFailure(form) {
  for (const message of form.querySelectorAll('.form-error, .field-error')) message.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    const before = input.dataset.describedBefore;
    if (before) input.setAttribute('aria-describedby', before); else input.removeAttribute('aria-describedby');
  }
}

/** Marks required fields that are empty; true when there are none. */
export function complete(form) {
  clearFailure(form);
  const empty = [...form.elements].filter((element) => element.required && !element.value.trim());
  for (const input of empty) markField(input, `${input.labels[0].textContent.trim()} is required.`);
  empty[0]?.focus();
  return empty.length === 0;
}

/** What a section shows when it has nothing, or could not be read. */
export function empty(name, title, text, ...actions) {
  const shown = copyOf('t-empty');
  shown.icon.setAttribute('href', `#i-${name}`);
  shown.title.textContent = title;
  shown.text.textContent = text;
  shown.actions.append(...actions);
  return shown.root;
}

/** A section's content when it could not be read, with another try. */
export function unreadable(failure, retry) {
  return empty('alert', failure.title, failure.message, make('button', { class: 'button', type: 'button', onclick: retry }, 'Try again'));
}

/** Browsers send what changes something only from the installation's own address. */
export function warnElsewhere(origin) {
  if (!origin || origin === location.origin) return;
  const box = document.getElementById('elsewhere');
  box.replaceChildren(`You opened this page at ${location.origin}. Signing in and changing things works at `, make('a', { href: `${origin}/` }, origin), '.');
  box.hidden = false;
}
