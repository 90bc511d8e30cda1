import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { demo, launch, open, origin } from './browser.mjs';

describe('the pages of errors', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  const key = { authorization: `Bearer ${demo.demo.api_key}` };
  const store = demo.demo.woocommerce_store;
  const provoked = [
    ['unauthenticated', '/api/me', {}],
    ['not_found', '/api/no-such-thing', key],
    ['invalid_request', '/webshop-data-api/orders?store_id=nonsense', key],
    ['filter_unsupported', `/webshop-data-api/customers?store_id=${store}&phone=1`, key],
    ['forbidden', '/api/audit', key],
  ];

  it('open from the type of a problem that really happened', async () => {
    const page = await open(browser, '/docs/errors');
    for (const [code, path, headers] of provoked) {
      const problem = await (await fetch(origin + path, { headers })).json();
      assert.equal(problem.code, code, JSON.stringify(problem));
      const answer = await page.goto(new URL(problem.type, origin).href);
      assert.equal(answer.status(), 200);
      assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), problem.title);
      assert.deepEqual(await page.getByRole('heading', { level: 2 }).allInnerTexts(), ['What happened', 'Whose side', 'What to do', 'Example']);
    }
    page.quiet();
    await page.context().close();
  });

  it('are there for every code of the document, and listed', async () => {
    const document = await (await fetch(`${origin}/openapi.json`)).json();
    const page = await open(browser, '/docs/errors');
    const codes = document.components.schemas.ProblemCode.enum;
    assert.ok(codes.length > 20, `only ${codes.length} codes`);
    const listed = await page.locator('main a[href^="/docs/errors/"]').evaluateAll((all) => all.map((link) => link.pathname.split('/').pop()));
    assert.deepEqual(listed.sort(), [...codes].sort());
    const answers = await Promise.all(codes.map((code) => page.request.get(`/docs/errors/${code}`)));
    assert.deepEqual(answers.filter((answer) => answer.status() !== 200).map((answer) => answer.url()), []);
    page.quiet();
    await page.context().close();
  });
});
