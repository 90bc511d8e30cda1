// The page of a person with a session: who they are, which organization, and its sections.

import { actAs, call } from './api.js';
import { busy, make, toast, unreadable, warnElsewhere } from './page.js';
import { proveWhenAsked } from './prove.js';
import { watchStatus } from './status.js';
import { Connect } from './connect.js';
import { Events } from './events.js';
import { Keys } from './keys.js';
import { Stores } from './stores.js';

/** A session that has ended leads back to the way in; anything else goes on to whoever asked. */
function leaveWhenEnded(failure) {
  if (failure.status !== 401) return false;
  location.replace('/?ended');
  return true;
}

/** The person, the organization that is looked at, and what they may do in it. */
class Session {
  constructor(me) {
    this.user = me.user;
    this.organizations = me.organizations;
    const asked = new URLSearchParams(location.search).get('organization');
    this.choose(this.organizations.find((organization) => organization.id === asked) || this.organizations[0]);
  }

  /** Asks what is still true after waiting: whether the organization that was asked about is the one that is looked at. */
  watch() {
    const { organization } = this;
    return () => organization === this.organization;
  }

  choose(organization) {
    this.organization = organization;
    actAs({ organization: organization?.id ?? null });
  }

  can(permission) {
    return this.organization?.permissions.includes(permission) ?? false;
  }

  get role() {
    return this.organization?.role.replaceAll('_', ' ') ?? '';
  }
}

function showPerson(session) {
  document.getElementById('person').textContent = `${session.user.name} · ${session.role}`;
  document.getElementById('organization-name').textContent = session.organization.name;
  const select = document.getElementById('organization');
  select.replaceChildren(...session.organizations.map((organization) => make('option', { value: organization.id, selected: organization === session.organization }, organization.name)));
  select.hidden = session.organizations.length < 2;
}

/** After a platform's consent page: which store was connected, in whichever organization it is. */
async function announceConnected(session) {
  const address = new URL(location.href);
  const id = address.searchParams.get('connected');
  if (!id) return null;
  address.searchParams.delete('connected');
  for (const organization of [session.organization, ...session.organizations.filter((other) => other !== session.organization)]) {
    try {
      const connection = await call('GET', `/api/integrations/connections/${encodeURIComponent(id)}/`, undefined, { organization: organization.id });
      if (organization !== session.organization) {
        session.choose(organization);
        address.searchParams.set('organization', organization.id);
      }
      history.replaceState(null, '', address);
      const box = document.getElementById('connected');
      box.textContent = `${connection.display_name} is connected. Its store id and a line to try are below.`;
      box.hidden = false;
      return connection.id;
    } catch (failure) {
      if (failure.status !== 404) throw failure;
    }
  }
  history.replaceState(null, '', address);
  return null;
}

async function start() {
  const me = await call('GET', '/api/me');
  actAs({ csrf: me.csrf_token });
  proveWhenAsked();
  const session = new Session(me);
  if (!session.organization) {
    document.getElementById('organization-name').textContent = me.user.name;
    document.getElementById('person').textContent = me.user.email;
    for (const section of document.querySelectorAll('.workspace > section:not(#status)')) section.hidden = true;
    shown();
    toast('You belong to no organization. Ask an owner to invite you.', { stay: true });
    return;
  }
  const fresh = await announceConnected(session);
  showPerson(session);
  const events = new Events(session);
  const stores = new Stores(session, { onChange: () => events.load(), fresh });
  const keys = new Keys(session, stores, { onChange: () => events.load() });
  const connect = new Connect(session, stores, { onChange: () => events.load() });
  stores.connect = connect;
  const load = () => Promise.all([connect.load().then(() => { headIsShown(); return stores.load(); }).then(() => keys.load()), events.load()]);
  document.getElementById('organization').addEventListener('change', (event) => {
    session.choose(session.organizations.find((organization) => organization.id === event.target.value));
    const address = new URL(location.href);
    address.searchParams.set('organization', session.organization.id);
    history.replaceState(null, '', address);
    document.getElementById('connected').hidden = true;
    showPerson(session);
    load();
  });
  await load();
  shown();
}

/** The stores' own skeleton can stand now: nothing above it moves any more. */
function headIsShown() {
  const workspace = document.querySelector('.workspace');
  if (workspace.dataset.loading === 'me') workspace.dataset.loading = 'stores';
}

function shown() {
  document.querySelector('.workspace').removeAttribute('data-loading');
}

document.getElementById('sign-out').addEventListener('click', (event) => busy(event.currentTarget, async () => {
  try {
    await call('POST', '/api/logout');
    location.replace('/');
  } catch (failure) {
    if (!leaveWhenEnded(failure)) toast(failure.message, { stay: true });
  }
}));

addEventListener('unhandledrejection', (event) => {
  if (event.reason?.status !== undefined && leaveWhenEnded(event.reason)) event.preventDefault();
});
for (const dialog of document.querySelectorAll('dialog')) {
  for (const button of dialog.querySelectorAll('[data-close]')) button.addEventListener('click', () => dialog.close());
}
warnElsewhere(document.querySelector('[data-origin]').dataset.origin);
watchStatus();
start().catch((failure) => {
  if (leaveWhenEnded(failure)) return;
  document.getElementById('stores').replaceChildren(unreadable(failure, () => location.reload()));
  for (const id of ['keys-section', 'events-section']) document.getElementById(id).hidden = true;
  shown();
});
