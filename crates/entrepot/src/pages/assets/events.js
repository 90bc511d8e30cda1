// The latest events of the organization.

import { call } from './api.js';
import { copyOf, empty, make, moment, toast, unreadable } from './page.js';

const LEVELS = { info: ['Info', ''], warning: ['Warning', 'warn'], error: ['Error', 'bad'] };
const LIMIT = 10;

export class Events {
  constructor(session) {
    this.session = session;
    this.place = document.getElementById('events');
    this.more = document.getElementById('more-events');
    this.more.addEventListener('click', () => this.loadMore());
  }

  async load() {
    this.more.hidden = true;
    if (!this.session.can('events:read')) {
      this.show(empty('receipt', 'Your role does not see events', `You are here as ${this.session.role}. Ask an owner for another role.`));
      return;
    }
    const isCurrent = this.session.watch();
    try {
      const page = await this.page(null);
      if (!isCurrent()) return;
      if (!page.data.length) {
        this.show(empty('receipt', 'Nothing has happened yet', 'Connecting a shop, changing a switch or making a key shows up here.'));
        return;
      }
      this.list = make('ul', {}, ...page.data.map((event) => this.row(event)));
      this.show(make('div', { class: 'card events' }, this.list));
    } catch (failure) {
      if (failure.status === 401) throw failure;
      if (isCurrent()) this.show(unreadable(failure, () => this.load()));
    }
  }

  async page(cursor) {
    const page = await call('GET', `/api/integrations/events/?limit=${LIMIT}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
    this.cursor = page.next_cursor;
    this.more.hidden = !page.next_cursor;
    return page;
  }

  async loadMore() {
    try {
      const page = await this.page(this.cursor);
      this.list.append(...page.data.map((event) => this.row(event)));
    } catch (failure) {
      if (failure.status === 401) throw failure;
      toast(failure.message, { stay: true });
    }
  }

  show(content) {
    this.place.replaceChildren(content);
    this.place.removeAttribute('aria-busy');
  }

  actor(actor) {
    const [kind, id] = actor.split(':');
    if (kind === 'user') return id === this.session.user.id ? 'by you' : 'by a member';
    return kind === 'key' ? 'by an API key' : 'by Entrepot';
  }

  row(event) {
    const row = copyOf('t-event');
    const [label, tone] = LEVELS[event.level] || [event.level, ''];
    row.level.append(make('span', { class: `chip ${tone}` }, label));
    row.message.textContent = event.message;
    row.actor.textContent = this.actor(event.actor);
    moment(row.time, event.created_at);
    return row.root;
  }
}
