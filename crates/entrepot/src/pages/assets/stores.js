// The stores: state, switches, and a line to paste.

import { call } from './api.js';
import { copies, copyableCode, copyOf, empty, make, toast, unreadable } from './page.js';

const KINDS = [
  { name: 'products', label: 'Products', color: 'blue', field: 'allow_product_access' },
  { name: 'customers', label: 'Customers', color: 'green', field: 'allow_customer_access' },
  { name: 'orders', label: 'Orders', color: 'purple', field: 'allow_order_access' },
];

const STATUS = {
  connected: ['Connected', 'good'],
  pending: ['Not finished', 'warn'],
  paused: ['Paused', 'warn'],
  disabled: ['Disabled', ''],
  needs_reauth: ['Needs to be connected again', 'bad'],
  suspended: ['Switched off by the platform', 'bad'],
  disconnected: ['Disconnected', ''],
};

/** A line that reads one kind of data of a store. The key stays out of it unless it was just made. */
export function curl(origin, store, key) {
  const kind = KINDS.find(({ field }) => store.data_access_permissions[field]);
  if (!kind) return null;
  const secret = key || '$API_KEY';
  return `curl -sG ${origin}/webshop-data-api/${kind.name} \\\n  -d store_id=${store.id} \\\n  -d limit=2 \\\n  -H "Authorization: Bearer ${secret}"`;
}

export class Stores {
  constructor(session, { onChange, fresh }) {
    this.session = session;
    this.onChange = onChange;
    this.fresh = fresh;
    this.list = [];
    this.origin = document.querySelector('[data-origin]').dataset.origin;
    this.place = document.getElementById('stores');
    this.more = document.getElementById('more-stores');
    this.more.addEventListener('click', () => this.loadMore());
  }

  async load() {
    this.list = [];
    this.more.hidden = true;
    const connect = document.getElementById('connect');
    connect.hidden = false;
    if (!this.session.can('connections:read')) {
      this.show(empty('store', 'Your role does not see stores', `You are here as ${this.session.role}. Ask an owner of ${this.session.organization.name} for another role.`));
      return;
    }
    const isCurrent = this.session.watch();
    this.cursor = null;
    try {
      const page = await this.page();
      if (!isCurrent()) return;
      this.list = page.data;
    } catch (failure) {
      if (failure.status === 401) throw failure;
      if (!isCurrent()) return;
      this.show(unreadable(failure, () => this.load()));
      return;
    }
    if (!this.list.length) {
      connect.hidden = true;
      this.show(empty('store', 'Connect your first shop', 'Its customers, orders and products can then be read live through the API. Nothing of them is copied, and you decide what may be read.', ...this.connect.buttons(true)));
      return;
    }
    this.show(...this.list.map((store) => this.card(store)));
    if (this.fresh) document.getElementById(`store-${this.fresh}`)?.scrollIntoView({ block: 'center' });
    this.fresh = null;
  }

  async page() {
    const page = await call('GET', `/api/integrations/connections/?limit=100${this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : ''}`);
    this.cursor = page.next_cursor;
    this.more.hidden = !page.next_cursor;
    return page;
  }

  async loadMore() {
    try {
      const page = await this.page();
      this.list.push(...page.data);
      this.place.append(...page.data.map((store) => this.card(store)));
    } catch (failure) {
      if (failure.status === 401) throw failure;
      toast(failure.message, { stay: true });
    }
  }

  show(...content) {
    this.place.replaceChildren(...content);
    this.place.removeAttribute('aria-busy');
  }

  name(id) {
    return this.list.find((store) => store.id === id)?.display_name;
  }

  card(store) {
    const card = copyOf('t-store');
    card.root.id = `store-${store.id}`;
    card.root.classList.toggle('new', store.id === this.fresh);
    card.name.textContent = store.display_name;
    card.platform.textContent = this.connect.label(store.provider_key);
    card.account.textContent = (store.external_account || '').replace(/^https?:\/\//, '').replace(/\/$/, '');
    const [status, tone] = STATUS[store.status] || [store.status, ''];
    const isWorse = store.status === 'connected' && store.health !== 'ok';
    card.status.textContent = isWorse ? (store.health === 'failing' ? 'Failing' : 'Connected, with trouble') : status;
    if (isWorse || tone) card.status.classList.add(isWorse ? 'warn' : tone);
    if (store.health_cause) {
      card.cause.hidden = false;
      card.causeText.textContent = store.health_cause;
      card.status.title = store.health_cause;
    }
    if (store.status === 'needs_reauth') {
      card.cause.hidden = false;
      card.causeText.textContent ||= 'The shop no longer accepts our access. Connect it again.';
      card.fix.hidden = !this.session.can('connections:update');
      card.fix.addEventListener('click', () => this.connect.open(store.provider_key, store));
    }
    card.id.textContent = store.id;
    copies(card.copyId, store.id, `Copy the id of ${store.display_name}`);
    this.switches(store, card);
    this.refresh(store, card);
    copyableCode(card.root);
    return card.root;
  }

  /** What follows from the switches: badges and the line to paste. */
  refresh(store, card) {
    const on = KINDS.filter(({ field }) => store.data_access_permissions[field]);
    const badges = on.map(({ label, color }) => make('span', { class: `chip ${color}` }, label));
    if (on.length < KINDS.length) badges.push(make('span', { class: 'chip amber' }, on.length ? 'Limited access' : 'No access'));
    card.badges.replaceChildren(...badges);
    const line = curl(this.origin, store);
    card.line.hidden = !line;
    if (line) {
      card.lineTitle.firstChild?.nodeType === Node.TEXT_NODE ? card.lineTitle.firstChild.nodeValue = `Read ${on[0].name}` : card.lineTitle.prepend(`Read ${on[0].name}`);
      card.curl.textContent = line;
    }
  }

  switches(store, card) {
    const may = this.session.can('connections:update');
    if (!may) {
      card.why.textContent = `Your role, ${this.session.role}, may see these but not change them. Owners and shop managers may.`;
      card.why.id = `why-${store.id}`;
      card.why.hidden = false;
    }
    // One change at a time, each on top of what the server last confirmed.
    let queue = Promise.resolve();
    for (const kind of KINDS) {
      const input = card.root.querySelector(`[name=${kind.field}]`);
      input.checked = store.data_access_permissions[kind.field];
      input.disabled = !may;
      if (!may) input.setAttribute('aria-describedby', card.why.id);
      const set = (wanted, isUndo) => {
        const confirmed = store.data_access_permissions;
        input.checked = wanted;
        // Shown at once, taken back when it fails.
        this.refresh({ ...store, data_access_permissions: { ...confirmed, [kind.field]: wanted } }, card);
        queue = queue.then(async () => {
          const permissions = { ...store.data_access_permissions, [kind.field]: wanted };
          try {
            const answer = await call('PUT', `/api/stores/${store.id}/permissions`, { data_access_permissions: permissions });
            store.data_access_permissions = answer.data_access_permissions;
            const text = wanted ? `${kind.label} of ${store.display_name} can be read.` : `${kind.label} of ${store.display_name} are off: callers get 403 within a second.`;
            toast(isUndo ? `Undone. ${text}` : text, isUndo ? {} : { action: 'Undo', onAction: () => set(!wanted, true) });
            this.onChange();
          } catch (failure) {
            if (failure.status === 401) throw failure;
            input.checked = store.data_access_permissions[kind.field];
            toast(`${kind.label} of ${store.display_name} stay as they were. ${failure.message}`, { stay: true });
          } finally {
            this.refresh(store, card);
          }
        });
      };
      input.addEventListener('change', () => set(input.checked, false));
    }
  }
}
