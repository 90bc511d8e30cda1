// The reference: search, the current place in the navigation, copy buttons.

import { copyableCode } from './page.js';

copyableCode(document);

const search = document.getElementById('search');
if (search) {
  const operations = [...document.querySelectorAll('.operation')];
  const groups = [...document.querySelectorAll('[data-group]')];
  const count = document.getElementById('search-count');
  const nothing = document.getElementById('no-match');
  const links = new Map([...document.querySelectorAll('[data-for]')].map((entry) => [entry.dataset.for, entry]));

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const operation of operations) {
      const matches = words.every((word) => operation.dataset.search.includes(word));
      operation.hidden = !matches;
      links.get(operation.id).hidden = !matches;
      if (matches) shown += 1;
    }
    for (const group of groups) {
      const inside = group.querySelectorAll('.operation, [data-for]');
      group.hidden = words.length > 0 && ![...inside].some((element) => !element.hidden);
    }
    document.querySelector('[data-basics]').hidden = words.length > 0;
    nothing.hidden = shown > 0;
    count.textContent = words.length ? `${shown} of ${operations.length} operations` : '';
    const address = new URL(location.href);
    if (words.length) address.searchParams.set('q', search.value);
    else address.searchParams.delete('q');
    history.replaceState(null, '', address);
  };
  search.addEventListener('input', filter);
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && search.value) { event.preventDefault(); search.value = ''; filter(); }
  });
  document.getElementById('clear-search').addEventListener('click', () => { search.value = ''; filter(); search.focus(); });
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target.matches('input, textarea, select')) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
  search.value = new URLSearchParams(location.search).get('q') || '';
  if (search.value) filter();

  // A link to a schema shows the schemas even while a search hides them.
  addEventListener('hashchange', () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && !target.checkVisibility()) { search.value = ''; filter(); target.scrollIntoView(); }
  });

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const link = links.get(entry.target.id)?.firstElementChild;
      if (!link) continue;
      if (entry.isIntersecting) {
        for (const other of links.values()) other.firstElementChild.removeAttribute('aria-current');
        link.setAttribute('aria-current', 'location');
        const box = link.closest('nav');
        const [top, bottom] = [link.offsetTop - box.offsetTop, link.offsetTop - box.offsetTop + link.offsetHeight];
        if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
      }
    }
  }, { rootMargin: '-15% 0px -80% 0px' });
  for (const operation of operations) seen.observe(operation);
}
