import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { demo, launch, open, origin, signIn, tooFaint, tooWide, walk } from './browser.mjs';

describe('the front page', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  it('says what the product is, and that this is the demo', async () => {
    const page = await open(browser, '/');
    assert.match(await page.getByRole('heading', { level: 1 }).innerText(), /webshop/);
    assert.match(await page.locator('.lead').innerText(), /customers, orders and products through one API/);
    assert.match(await page.locator('.notice.demo').innerText(), /every shop is simulated/);
    assert.match(await page.locator('.evidence code').first().innerText(), new RegExp(`${origin}/webshop-data-api/`));
    await page.locator('[data-status=database]', { hasText: 'Answers' }).waitFor();
    await page.locator('[data-status=listening]:not(:has-text("Checking"))').waitFor();
    page.quiet();
    await page.context().close();
  });

  it('has links that all lead somewhere', async () => {
    const page = await open(browser, '/');
    const seen = new Set();
    for (const path of ['/', '/docs/errors', '/docs/errors/forbidden']) {
      await page.goto(path);
      const links = await page.locator('a[href]').evaluateAll((all) => all.map((link) => link.href));
      assert.ok(links.length >= 5, `${path} has ${links.length} links`);
      links.forEach((link) => seen.add(link));
    }
    for (const link of seen) {
      assert.equal(new URL(link).origin, origin, link);
      const answer = await page.request.get(link);
      assert.equal(answer.status(), 200, link);
      const anchor = new URL(link).hash.slice(1);
      if (anchor) assert.ok((await answer.text()).includes(`id="${anchor}"`), `${link} leads to a page without #${anchor}`);
    }
    page.quiet();
    await page.context().close();
  });

  it('is dark where people want it dark, and readable in both', async () => {
    const backgrounds = [];
    for (const scheme of ['light', 'dark']) {
      const page = await open(browser, '/', { scheme });
      backgrounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      for (const path of ['/', '/#sign-up', '/docs/errors', '/docs/errors/store_slow']) {
        await page.goto(path);
        assert.deepEqual(await tooFaint(page), [], `${path}, ${scheme}`);
      }
      page.quiet();
      await page.context().close();
    }
    assert.notEqual(backgrounds[0], backgrounds[1]);
  });

  it('needs no scrolling sideways on a small phone', async () => {
    for (const width of [320, 360]) {
      const page = await open(browser, '/', { width, height: 740 });
      for (const path of ['/', '/#sign-up', '/docs', '/docs/errors', '/docs/errors/store_reauthorization_required']) {
        await page.goto(path);
        assert.deepEqual(await tooWide(page), [], `${path} at ${width} px`);
      }
      page.quiet();
      await page.context().close();
    }
  });

  it('shows where the keyboard is', async () => {
    const page = await open(browser, '/');
    const steps = await walk(page, 14);
    assert.ok(steps.length >= 10, `only ${steps.length} places take the focus`);
    assert.equal(steps[0].name, 'Skip to content');
    for (const step of steps) assert.ok(step.hasOutline && step.isInView, JSON.stringify(step));
    await page.context().close();
  });

  it('says so beside the fields when signing in cannot work', async () => {
    const page = await open(browser, '/');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('E-mail is required.').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'email');
    const form = page.locator('#sign-in');
    await form.getByLabel('E-mail').fill('nobody@entrepot.example');
    await form.getByLabel('Password').fill('not the password');
    page.allow(/401 \(Unauthorized\)/);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('E-mail or password is wrong').waitFor();
    page.quiet();
    await page.context().close();
  });

  it('connects the shop that the demo names, and switches what may be read', async () => {
    const page = await open(browser, '/');
    await signIn(page);
    assert.equal(await page.locator('.store').count(), 2);
    await page.getByRole('button', { name: 'Connect WooCommerce' }).click();
    const { shop_url: shop, consumer_key: key, consumer_secret: secret } = demo.unconnected.woocommerce;
    const dialog = page.getByRole('dialog');
    await dialog.locator('[name=shop_url]').fill(shop);
    await dialog.locator('[name=consumer_key]').fill(key);
    await dialog.locator('[name=consumer_secret]').fill(secret);
    await dialog.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.locator('.store').nth(2).waitFor();
    const store = page.locator('.store', { hasText: new URL(shop).host });
    await store.getByText('Connected', { exact: true }).waitFor();
    const id = await store.locator('[data-x=id]').innerText();

    const ask = () => page.request.get(`/webshop-data-api/products?store_id=${id}&limit=1`, { headers: { authorization: `Bearer ${demo.demo.api_key}` } });
    assert.equal((await ask()).status(), 200);
    await store.getByRole('switch', { name: 'Products' }).uncheck();
    await page.getByText('callers get 403 within a second').waitFor();
    const told = Date.now();
    let code;
    while (code !== 'data_access_disabled' && Date.now() - told < 1000) code = (await (await ask()).json()).code;
    assert.equal(code, 'data_access_disabled', 'within a second');
    page.quiet();
    await page.context().close();
  });

  it('is usable by a person with a session on a small phone and in the dark', async () => {
    const page = await open(browser, '/', { width: 360, height: 740, scheme: 'dark' });
    await signIn(page);
    assert.deepEqual(await tooWide(page), []);
    assert.deepEqual(await tooFaint(page), []);
    await page.getByRole('button', { name: 'Create key' }).click();
    await page.getByRole('dialog').waitFor();
    assert.deepEqual(await tooWide(page), []);
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    page.quiet();
    await page.context().close();
  });
});
