// Connecting shops: by the platform's consent page, or with keys that its owner pastes. Drawn from the providers' manifests.

import { call } from './api.js';
import { busy, clearFailure, complete, icon, make, parts, showFailure, toast } from './page.js';

export class Connect {
  constructor(session, stores, { onChange }) {
    this.session = session;
    this.stores = stores;
    this.onChange = onChange;
    this.providers = [];
    this.dialog = document.getElementById('d-connect');
    this.form = this.dialog.querySelector('form');
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (complete(this.form)) busy(event.submitter || this.shown.submit, () => this.submit());
    });
  }

  async load() {
    this.providers = [];
    document.getElementById('connect').replaceChildren();
    if (!this.session.can('connections:read')) return;
    const isCurrent = this.session.watch();
    try {
      this.providers = (await call('GET', '/api/integrations/providers/')).data.filter((provider) => provider.category === 'api');
    } catch (failure) {
      if (failure.status === 401) throw failure;
      toast(`What can be connected is not known. ${failure.message}`, { stay: true });
      return;
    }
    if (isCurrent()) document.getElementById('connect').replaceChildren(...this.buttons(false));
  }

  label(key) {
    return this.providers.find((provider) => provider.key === key)?.label || key;
  }

  /** A button for each platform; why not, where one cannot be used. */
  buttons(isFirst) {
    const may = this.session.can('connections:create');
    return this.providers.map((provider, index) => {
      const reason = !may
        ? `Your role, ${this.session.role}, may not connect shops. Owners and shop managers may.`
        : provider.available ? null : `This installation has no app at ${provider.label}. Its operator can configure one.`;
      const button = make('button', { class: isFirst && index === 0 && !reason ? 'button primary' : 'button', type: 'button', 'aria-disabled': reason ? 'true' : null, title: reason }, icon('plus'), `Connect ${provider.label}`);
      button.addEventListener('click', () => (reason ? toast(reason) : this.open(provider.key)));
      return button;
    });
  }

  /** The form of a platform; for a store that is there, only what gives it access again. */
  open(key, store) {
    const provider = this.providers.find((known) => known.key === key);
    if (!provider) return;
    const isOauth = provider.auth_type === 'oauth';
    this.provider = provider;
    this.store = store || null;
    clearFailure(this.form);
    const shown = (this.shown = parts(this.dialog));
    document.getElementById('d-connect-title').textContent = store ? `Connect ${store.display_name} again` : `Connect ${provider.label}`;
    shown.lead.textContent = isOauth
      ? `${provider.label} asks the shop's owner for consent and leads back here. ${provider.scopes.length ? `We ask for: ${provider.scopes.join(', ').replaceAll('_', ' ')}.` : ''}`
      : 'The keys are tried before anything is kept, then sealed. They are never shown again, to anybody.';
    const fields = isOauth ? [] : provider.config.filter((field) => !store || field.kind === 'secret');
    shown.fields.replaceChildren(...fields.map(fieldOf));
    const switches = document.getElementById('t-switches').content.cloneNode(true);
    shown.switches.replaceChildren(...(store ? [] : [switches]));
    shown.notes.replaceChildren(...provider.notes.map((note) => make('li', {}, note)));
    shown.notesBox.hidden = !provider.notes.length;
    shown.notesBox.open = false;
    shown.submit.textContent = isOauth ? `Continue to ${provider.label}` : store ? 'Replace keys' : 'Connect';
    this.dialog.showModal();
    (this.form.querySelector('input:not([role=switch])') || shown.submit).focus();
  }

  permissions() {
    const inputs = [...this.form.querySelectorAll('input[role=switch]')];
    return inputs.length ? Object.fromEntries(inputs.map((input) => [input.name, input.checked])) : undefined;
  }

  async submit() {
    const { provider, store } = this;
    try {
      if (provider.auth_type === 'oauth') {
        const started = await call('POST', `/api/oauth/${encodeURIComponent(provider.key)}/start`, { data_access_permissions: this.permissions() });
        location.assign(started.url);
        return;
      }
      const given = { config: {}, credential: {} };
      for (const field of provider.config) {
        const value = this.form.elements[field.name]?.value.trim();
        if (value) given[field.kind === 'secret' ? 'credential' : 'config'][field.name] = value;
      }
      const connection = store
        ? await call('POST', `/api/integrations/connections/${store.id}/credential/`, { credential: given.credential })
        : await call('POST', '/api/integrations/connections/', { provider_key: provider.key, ...given, data_access_permissions: this.permissions() });
      this.form.reset();
      this.shown.fields.replaceChildren();
      this.dialog.close();
      toast(`${connection.display_name} is connected.`);
      this.stores.fresh = connection.id;
      await this.stores.load();
      this.onChange();
    } catch (failure) {
      if (failure.status === 401) throw failure;
      showFailure(this.form, failure);
    }
  }
}

function fieldOf(field) {
  const id = `connect-${field.name}`;
  const input = make('input', {
    id,
    name: field.name,
    type: field.kind === 'secret' ? 'password' : field.kind === 'url' ? 'url' : 'text',
    required: field.required,
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-describedby': field.help ? `${id}-help` : null,
    placeholder: field.kind === 'url' ? 'https://' : null,
  });
  return make('div', { class: 'field' }, make('label', { for: id }, field.label), input, field.help ? make('p', { class: 'help', id: `${id}-help` }, field.help) : null);
}
