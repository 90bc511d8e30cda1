// API keys: list, create with a one-time reveal, revoke with what breaks.

import { call } from './api.js';
import { busy, complete, copies, copyableCode, copyOf, empty, icon, make, moment, parts, showFailure, unreadable } from './page.js';
import { curl } from './stores.js';

const STATES = { active: ['Active', 'good'], suspended: ['Suspended', 'bad'], revoked: ['Revoked', ''], expired: ['Ended', ''] };

export class Keys {
  constructor(session, stores, { onChange }) {
    this.session = session;
    this.stores = stores;
    this.onChange = onChange;
    this.place = document.getElementById('keys');
    this.createButton = document.getElementById('create-key');
    this.createButton.addEventListener('click', () => this.openCreate());
    this.createDialog = document.getElementById('d-key');
    this.createForm = this.createDialog.querySelector('form');
    this.createForm.addEventListener('submit', (event) => {
      event.preventDefault();
      if (complete(this.createForm)) busy(this.createForm.querySelector('[type=submit]'), () => this.create());
    });
    this.createForm.addEventListener('change', (event) => {
      if (event.target.name === 'reach') parts(this.createForm).stores.hidden = event.target.value === 'all';
    });
    this.revealDialog = document.getElementById('d-reveal');
    // The key is gone once this closes, so only its button closes it.
    this.revealDialog.addEventListener('cancel', (event) => event.preventDefault());
    parts(this.revealDialog).saved.addEventListener('click', () => {
      parts(this.revealDialog).key.textContent = '';
      parts(this.revealDialog).curl.textContent = '';
      this.revealDialog.close();
    });
    this.revokeDialog = document.getElementById('d-revoke');
  }

  async load() {
    this.createButton.hidden = !this.session.can('api_keys:create');
    if (!this.session.can('api_keys:read')) {
      this.show(empty('key', 'Your role does not see API keys', `You are here as ${this.session.role}. Owners, administrators and shop managers make keys.`));
      return;
    }
    const isCurrent = this.session.watch();
    let keys;
    try {
      keys = (await call('GET', '/api-key-management/list')).data;
    } catch (failure) {
      if (failure.status === 401) throw failure;
      if (isCurrent()) this.show(unreadable(failure, () => this.load()));
      return;
    }
    if (!isCurrent()) return;
    // Those with an active state may have ended since it was written.
    for (const key of keys) if (key.state === 'active' && new Date(key.expires_at) <= Date.now()) key.state = 'expired';
    const live = keys.filter((key) => key.state === 'active' || key.state === 'suspended');
    const past = keys.filter((key) => !live.includes(key));
    if (!keys.length) {
      this.createButton.hidden = true;
      const actions = this.session.can('api_keys:create') ? [make('button', { class: 'button primary', type: 'button', onclick: () => this.openCreate() }, icon('plus'), 'Create key')] : [];
      this.show(empty('key', 'No API keys yet', 'A program needs a key to read stores. It is shown once, works for the stores that you choose, and can be revoked at any time.', ...actions));
      return;
    }
    const card = make('div', { class: 'card keys' }, make('ul', {}, ...live.map((key) => this.row(key))));
    if (!live.length) card.firstChild.append(make('li', { class: 'key over' }, 'No key works at the moment.'));
    if (past.length) {
      const list = make('ul', {}, ...past.map((key) => this.row(key)));
      card.append(make('details', { class: 'past' }, make('summary', {}, past.length === 1 ? '1 key that no longer works' : `${past.length} keys that no longer work`), list));
    }
    this.show(card);
  }

  show(content) {
    this.place.replaceChildren(content);
    this.place.removeAttribute('aria-busy');
  }

  reach(key) {
    if (!key.stores) return 'All stores';
    const names = key.stores.map((id) => this.stores.name(id) || 'a store that is gone');
    return names.length > 2 ? `${names.length} stores` : names.join(', ');
  }

  row(key) {
    const row = copyOf('t-key');
    row.name.textContent = key.name;
    row.prefix.textContent = `${key.prefix}…`;
    const [state, tone] = STATES[key.state] || [key.state, ''];
    row.state.append(make('span', { class: `chip ${tone}`, title: key.state_reason }, state));
    row.stores.textContent = this.reach(key);
    if (key.last_used_at) moment(row.used, key.last_used_at);
    else row.used.textContent = 'Never';
    moment(row.expires, key.expires_at);
    const isOver = key.state === 'revoked' || key.state === 'expired';
    row.root.classList.toggle('over', isOver);
    row.revoke.hidden = isOver || !this.session.can('api_keys:delete');
    row.revoke.setAttribute('aria-label', `Revoke ${key.name}`);
    row.revoke.addEventListener('click', () => this.openRevoke(key));
    return row.root;
  }

  openCreate() {
    const shown = parts(this.createForm);
    this.createForm.reset();
    shown.stores.hidden = true;
    shown.storesBox.hidden = this.stores.list.length < 2;
    shown.stores.replaceChildren(...this.stores.list.map((store) => make('label', {}, make('input', { type: 'checkbox', name: 'store', value: store.id }), store.display_name)));
    for (const message of this.createForm.querySelectorAll('.form-error, .field-error')) message.remove();
    this.createDialog.showModal();
    this.createForm.elements.name.focus();
  }

  async create() {
    const form = new FormData(this.createForm);
    const body = { name: form.get('name').trim(), expires_in_days: Number(form.get('expires_in_days')) };
    if (form.get('reach') === 'some') {
      body.stores = form.getAll('store');
      if (!body.stores.length) {
        showFailure(this.createForm, { fields: [], message: 'Choose at least one store, or all of them.' });
        return;
      }
    }
    try {
      const created = await call('POST', '/api-key-management/create', body);
      this.createDialog.close();
      this.reveal(created);
    } catch (failure) {
      if (failure.status === 401) throw failure;
      showFailure(this.createForm, failure);
      return;
    }
    await this.load();
    this.onChange();
  }

  reveal(created) {
    const shown = parts(this.revealDialog);
    shown.key.textContent = created.api_key;
    copies(shown.copy, created.api_key, 'Copy the key');
    const store = this.stores.list.find((known) => !created.stores || created.stores.includes(known.id));
    const line = store && curl(this.stores.origin, store, created.api_key);
    shown.line.hidden = !line;
    shown.curl.textContent = line || '';
    copyableCode(this.revealDialog);
    this.revealDialog.showModal();
    shown.copy.focus();
  }

  openRevoke(key) {
    const shown = parts(this.revokeDialog);
    document.getElementById('d-revoke-title').textContent = `Revoke “${key.name}”?`;
    shown.breaks.textContent = `Every program that sends ${key.prefix}… is refused with 401 within a second.`;
    const names = (key.stores ? key.stores.map((id) => this.stores.name(id)) : this.stores.list.map((store) => store.display_name)).filter(Boolean);
    const used = make('span');
    const lines = [
      names.length ? `It can no longer read: ${names.join(', ')}.` : 'It reaches no store at the moment.',
      key.last_used_at ? `It was last used ${moment(used, key.last_used_at).textContent}.` : 'No use of it has been written down so far.',
    ];
    shown.dependents.replaceChildren(...lines.map((line) => make('li', {}, line)));
    shown.error.hidden = true;
    shown.confirm.onclick = () => busy(shown.confirm, async () => {
      try {
        await call('POST', '/api-key-management/revoke', { key_id: key.key_id });
      } catch (failure) {
        if (failure.status === 401) throw failure;
        shown.error.textContent = failure.message;
        shown.error.hidden = false;
        return;
      }
      this.revokeDialog.close();
      await this.load();
      this.onChange();
    });
    this.revokeDialog.showModal();
  }
}
