import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { demo, launch, origin } from './browser.mjs';

describe('a web page of another origin', () => {
  let browser, server, elsewhere;
  before(async () => {
    browser = await launch();
    server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>A shop</title>'));
    await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
    elsewhere = `http://127.0.0.1:${server.address().port}`;
  });
  after(async () => {
    await browser.close();
    await new Promise((closed) => server.close(closed));
  });

  /** A key that names these pages. */
  async function key(allowed_origins) {
    const post = async (path, body, headers = {}) => {
      const answer = await fetch(origin + path, {
        method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
      });
      assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
      return answer.json();
    };
    const { session_token } = await post('/api/login', { email: demo.demo.email, password: demo.demo.password });
    const created = await post('/api-key-management/create', { name: 'of a page', allowed_origins }, { authorization: `Bearer ${session_token}` });
    return created.api_key;
  }

  it('reads orders with a key that names it, and not with another', async () => {
    const keys = [await key([elsewhere]), await key(['https://shop.example']), demo.demo.api_key];
    const page = await browser.newPage();
    await page.goto(elsewhere);
    const address = `${origin}/webshop-data-api/orders?store_id=${demo.demo.woocommerce_store}&limit=2`;
    const read = (api_key) => page.evaluate(async ([address, api_key]) => {
      try {
        const answer = await fetch(address, { headers: { authorization: `Bearer ${api_key}` } });
        return { orders: (await answer.json()).data?.length, limit: answer.headers.get('ratelimit') };
      } catch (error) {
        return { failed: error.name };
      }
    }, [address, api_key]);
    const [named, of_another, of_a_program] = [await read(keys[0]), await read(keys[1]), await read(keys[2])];
    assert.equal(named.orders, 2);
    assert.match(named.limit, /^"minute";r=\d+/);
    assert.deepEqual(of_another, { failed: 'TypeError' });
    assert.deepEqual(of_a_program, { failed: 'TypeError' });
    await page.close();
  });
});
