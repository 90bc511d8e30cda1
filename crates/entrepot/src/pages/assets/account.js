// The account of a person: what they prove themselves by, their password, their sessions.

import { actAs, call } from './api.js';
import { hasPasskeys, makePasskey } from './passkeys.js';
import { busy, complete, copies, copyOf, icon, make, moment, parts, showFailure, toast, unreadable, warnElsewhere } from './page.js';
import { proveWhenAsked } from './prove.js';

const PROVED = { password: 'by password', totp: 'by an authenticator app', recovery_code: 'by a recovery code', passkey: 'by a passkey' };
const page = parts(document.querySelector('.account'));

/** Runs what a button does, and says what went wrong. */
function act(button, work) {
  return busy(button, async () => {
    try {
      await work();
    } catch (failure) {
      if (failure.status === 401) location.replace('/?ended');
      else if (failure.status === undefined) throw failure;
      else if (failure.code !== 'step_up_required') toast(failure.message, { stay: true });
    }
  });
}

function onClick(button, work) {
  button.addEventListener('click', () => act(button, work));
}

/** Recovery codes are shown once, so only the button that says so closes them. */
function reveal(codes) {
  if (!codes) return;
  const dialog = document.getElementById('d-codes');
  const shown = parts(dialog);
  shown.codes.replaceChildren(...codes.map((code) => make('li', {}, make('code', {}, code))));
  copies(shown.copy, codes.join('\n'), 'Copy the codes');
  shown.saved.onclick = () => { shown.codes.replaceChildren(); dialog.close(); };
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
}

function drawing({ view_box: viewBox, path }) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', viewBox);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', 'QR code for the authenticator app');
  const dark = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  dark.setAttribute('d', path);
  svg.append(dark);
  return svg;
}

async function load() {
  const factors = await call('GET', '/api/factors');
  const hasFactor = factors.totp_since || factors.passkeys.length > 0;
  page.totpState.textContent = factors.totp_since ? 'On' : 'Off';
  page.totpState.className = factors.totp_since ? 'chip good' : 'chip';
  page.totpBegin.textContent = factors.totp_since ? 'Set up another' : 'Set up';
  page.totpRemove.hidden = !factors.totp_since;
  page.passkeyAdd.hidden = !factors.passkeys_available || !hasPasskeys;
  page.passkeyWhy.textContent = factors.passkeys_available ? 'This browser has no passkeys.' : 'Passkeys do not work at this address: they need https and a name, or localhost.';
  page.passkeyWhy.hidden = !page.passkeyAdd.hidden;
  page.passkeys.replaceChildren(...factors.passkeys.map(passkeyRow));
  page.codesSection.hidden = !hasFactor;
  page.codesLeft.textContent = `${factors.recovery_codes_left} left`;
  page.codesLeft.className = factors.recovery_codes_left > 3 ? 'chip good' : 'chip warn';
}

function passkeyRow(passkey) {
  const row = copyOf('t-passkey');
  row.name.textContent = passkey.name;
  row.kept.textContent = passkey.is_backed_up ? 'Synced' : 'On one device';
  if (passkey.last_used_at) moment(row.used, passkey.last_used_at);
  else row.used.textContent = 'not yet';
  row.rename.setAttribute('aria-label', `Rename ${passkey.name}`);
  row.remove.setAttribute('aria-label', `Remove ${passkey.name}`);
  onClick(row.rename, async () => {
    const name = await askName('Rename the passkey', passkey.name);
    if (!name) return;
    await call('PATCH', `/api/factors/passkeys/${passkey.id}`, { name });
    await load();
  });
  onClick(row.remove, async () => {
    await call('DELETE', `/api/factors/passkeys/${passkey.id}`);
    toast(`“${passkey.name}” was removed, and you are signed out everywhere else.`);
    await load();
    await loadSessions();
  });
  return row.root;
}

/** The name that a person gives a passkey; null when they do not. */
function askName(title, name) {
  const dialog = document.getElementById('d-name');
  const form = dialog.querySelector('form');
  document.getElementById('d-name-title').textContent = title;
  form.elements.name.value = name;
  return new Promise((resolve) => {
    let given = null;
    form.onsubmit = (event) => {
      event.preventDefault();
      if (!complete(form)) return;
      given = form.elements.name.value.trim();
      dialog.close();
    };
    dialog.addEventListener('close', () => resolve(given), { once: true });
    dialog.showModal();
    form.elements.name.select();
  });
}

onClick(page.totpBegin, async () => {
  const enrolment = await call('POST', '/api/factors/totp');
  page.qr.replaceChildren(drawing(enrolment.qr_code));
  page.secret.textContent = enrolment.secret.replace(/(.{4})(?=.)/g, '$1 ');
  copies(page.copySecret, enrolment.secret, 'Copy the key');
  page.totpSetup.hidden = false;
  page.totpForm.reset();
  page.totpForm.elements.code.focus();
});

page.totpForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!complete(page.totpForm)) return;
  act(page.totpForm.querySelector('[type=submit]'), async () => {
    try {
      const { recovery_codes: codes } = await call('POST', '/api/factors/totp/confirm', { code: page.totpForm.elements.code.value });
      page.totpSetup.hidden = true;
      page.qr.replaceChildren();
      page.secret.textContent = '';
      toast('Your authenticator app is set up. Signing in asks for its code from now on.');
      await load();
      reveal(codes);
    } catch (failure) {
      if (!failure.status || failure.status === 401) throw failure;
      showFailure(page.totpForm, failure.code === 'factor_refused' ? { ...failure, message: failure.message, fields: [], page: null } : failure);
      page.totpForm.elements.code.select();
    }
  });
});

onClick(page.totpRemove, async () => {
  await call('DELETE', '/api/factors/totp');
  toast('Your authenticator app was removed, and you are signed out everywhere else.');
  await load();
  await loadSessions();
});

onClick(page.passkeyAdd, async () => {
  const { challenge, options } = await call('POST', '/api/factors/passkeys/start');
  const { response } = await makePasskey(options);
  const name = (await askName('Name the passkey', 'This device')) || 'A passkey';
  const added = await call('POST', '/api/factors/passkeys', { challenge, name, credential: { response } });
  toast(`“${added.passkey.name}” was added. You can sign in with it.`);
  await load();
  reveal(added.recovery_codes);
});

onClick(page.codesMake, async () => {
  const { recovery_codes: codes } = await call('POST', '/api/factors/recovery-codes');
  await load();
  reveal(codes);
});

page.passwordForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!complete(page.passwordForm)) return;
  act(page.passwordForm.querySelector('[type=submit]'), async () => {
    try {
      await call('PUT', '/api/me/password', { password: page.passwordForm.elements.password.value });
      page.passwordForm.reset();
      toast('Your password was changed, and you are signed out everywhere else.');
      await loadSessions();
    } catch (failure) {
      if (!failure.fields?.length) throw failure;
      showFailure(page.passwordForm, failure);
    }
  });
});

async function loadSessions() {
  const { data } = await call('GET', '/api/sessions');
  page.sessions.replaceChildren(...data.map((session) => {
    const row = copyOf('t-session');
    row.device.textContent = session.device || 'A device';
    row.current.hidden = !session.is_current;
    moment(row.seen, session.last_seen_at);
    row.proved.textContent = PROVED[session.proved_by] || '';
    row.end.hidden = session.is_current;
    onClick(row.end, async () => {
      await call('DELETE', `/api/sessions/${session.id}`);
      await loadSessions();
    });
    return row.root;
  }));
  page.endOthers.hidden = data.length < 2;
}

onClick(page.endOthers, async () => {
  await call('POST', '/api/sessions/end-others');
  await loadSessions();
});

/** What an organization asks of its members, for those who decide it. */
async function organizationRow(organization) {
  const row = copyOf('t-organization');
  row.name.textContent = organization.name;
  row.label.htmlFor = row.of.id = `of-${organization.id}`;
  const path = `/api/organizations/${organization.id}`;
  const read = async () => { row.of.value = (await call('GET', path, undefined, { organization: organization.id })).second_factor_required_of; };
  await read();
  row.of.addEventListener('change', () => act(row.of, async () => {
    try {
      await call('PUT', `${path}/second-factor`, { required_of: row.of.value }, { organization: organization.id });
      toast('Saved. It holds from everybody’s next request on.');
    } finally {
      await read();
    }
  }));
  return row.root;
}

async function start() {
  const me = await call('GET', '/api/me');
  actAs({ csrf: me.csrf_token });
  proveWhenAsked();
  page.who.textContent = `${me.user.name} · ${me.user.email}`;
  page.passwordForm.elements.username.value = me.user.email;
  page.required.hidden = !new URLSearchParams(location.search).has('required');
  await load();
  await loadSessions();
  const deciding = me.organizations.filter((organization) => organization.permissions.includes('organization:approve'));
  const rows = await Promise.all(deciding.map((organization) => organizationRow(organization).catch(() => null)));
  page.organizations.replaceChildren(...rows.filter(Boolean));
  page.organizationsSection.hidden = !page.organizations.children.length;
  document.querySelector('.account').removeAttribute('aria-busy');
}

for (const button of document.querySelectorAll('dialog [data-close]')) button.addEventListener('click', () => button.closest('dialog').close());
warnElsewhere(document.querySelector('[data-origin]').dataset.origin);
page.passkeyAdd.prepend(icon('plus'));
start().catch((failure) => {
  if (failure.status === 401) location.replace('/?ended');
  else document.querySelector('.account').replaceChildren(unreadable(failure, () => location.reload()));
});
