import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, open, origin, tooFaint, tooWide, walk } from './browser.mjs';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

describe('the API reference', () => {
  let browser;
  let operations;
  before(async () => {
    browser = await launch();
    const document = await (await fetch(`${origin}/openapi.json`)).json();
    operations = Object.entries(document.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => ({ method, path, summary: item[method].summary })));
    assert.ok(operations.length > 25, `only ${operations.length} operations`);
  });
  after(() => browser.close());

  it('shows every operation of openapi.json once, and leads to it', async () => {
    const page = await open(browser, '/docs');
    const shown = await page.locator('.operation').evaluateAll((all) => all.map((article) => ({
      method: article.querySelector('.method').textContent,
      path: article.querySelector('.address code').textContent,
      summary: article.querySelector('h3').textContent,
      id: article.id,
    })));
    const plain = ({ method, path, summary }) => `${method} ${path} ${summary}`;
    assert.deepEqual(shown.map(plain).sort(), operations.map(plain).sort());
    const links = await page.locator('#operations li a').evaluateAll((all) => all.map((link) => link.hash.slice(1)));
    assert.deepEqual(links.sort(), shown.map(({ id }) => id).sort());
    page.quiet();
    await page.context().close();
  });

  it('finds operations by words, keeps the search in the address, and lets go of it', async () => {
    const page = await open(browser, '/docs');
    const visible = () => page.locator('.operation:visible').count();
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'search');
    await page.keyboard.type('orders search');
    await assert.doesNotReject(page.locator('#post-webshop-data-api-orders-search').waitFor());
    const found = await visible();
    assert.ok(found >= 1 && found < 5, `${found} found`);
    assert.equal(await page.locator('#operations li:visible').count(), found);
    assert.match(await page.locator('#search-count').innerText(), new RegExp(`^${found} of ${operations.length}`));
    assert.equal(new URL(page.url()).searchParams.get('q'), 'orders search');
    await page.reload();
    assert.equal(await visible(), found);
    await page.getByLabel('Search').fill('nosuchthing');
    await page.getByText('Nothing matches.').waitFor();
    assert.equal(await visible(), 0);
    await page.getByRole('button', { name: 'Show all operations' }).click();
    assert.equal(await visible(), operations.length);
    await page.getByLabel('Search').fill('audit');
    await page.keyboard.press('Escape');
    assert.equal(await visible(), operations.length);
    page.quiet();
    await page.context().close();
  });

  it('opens at the operation that a link names, below the bar at the top', async () => {
    const page = await open(browser, '/docs#get-webshop-data-api-orders');
    for (const anchor of ['get-webshop-data-api-orders', 'put-api-stores-id-permissions', 'schema-UnifiedOrder']) {
      await page.goto(`/docs#${anchor}`);
      await page.waitForFunction((id) => {
        const top = document.getElementById(id).getBoundingClientRect().top;
        return top >= document.querySelector('.top').getBoundingClientRect().bottom && top < innerHeight / 2;
      }, anchor);
    }
    await page.goto('/docs#get-api-audit');
    await page.locator('#operations a[href="#get-api-audit"][aria-current]').waitFor();
    // A link into what a search hides shows it again.
    await page.getByLabel('Search').fill('audit');
    await page.evaluate(() => { location.hash = '#schema-Problem'; });
    await page.locator('#schema-Problem').waitFor();
    page.quiet();
    await page.context().close();
  });

  it('shows words that a parameter takes, and only the filters that a resource has', async () => {
    const page = await open(browser, '/docs');
    const orders = page.locator('#get-webshop-data-api-orders');
    const row = orders.locator('dl.fields > div', { has: page.locator('dt > code', { hasText: /^payment_status$/ }) }).first();
    assert.match(await row.innerText(), /partially_refunded/);
    assert.equal(await page.locator('#get-webshop-data-api-customers dt > code', { hasText: /^payment_status$/ }).count(), 0);
    await page.context().close();
  });

  it('copies what is to be pasted', async () => {
    const page = await open(browser, '/docs', { permissions: ['clipboard-read', 'clipboard-write'] });
    const code = page.locator('#get-api-stores figure.code').first();
    await code.getByRole('button').click();
    await code.getByText('Copied').waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(copied.startsWith('curl -s') && copied.includes(`${origin}/api/stores`), copied);
    page.quiet();
    await page.context().close();
  });

  it('shows where the keyboard is', async () => {
    const page = await open(browser, '/docs');
    const steps = await walk(page, 25);
    assert.ok(steps.length >= 20, `only ${steps.length} places take the focus`);
    for (const step of steps) assert.ok(step.hasOutline && step.isInView, JSON.stringify(step));
    await page.locator('#get-webshop-data-api-orders pre').first().focus();
    for (const step of await walk(page, 6)) assert.ok(step.hasOutline && step.isInView, JSON.stringify(step));
    await page.context().close();
  });

  it('is readable in light and dark, wide and narrow', async () => {
    for (const [scheme, width] of [['light', 1440], ['dark', 390]]) {
      const page = await open(browser, '/docs', { scheme, width });
      assert.deepEqual(await tooWide(page), [], `${width}`);
      assert.deepEqual(await tooFaint(page), [], scheme);
      page.quiet();
      await page.context().close();
    }
  });

  it('reads without JavaScript', async () => {
    const page = await open(browser, '/docs', { javaScriptEnabled: false });
    assert.equal(await page.locator('.operation').count(), operations.length);
    await page.context().close();
  });
});
