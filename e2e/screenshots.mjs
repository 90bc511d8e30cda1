// Pictures of the pages in all their looks, for people: node run.mjs PROGRAM --screenshots DIR

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { launch, open, signIn } from './browser.mjs';

const [folder] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const browser = await launch();
for (const scheme of ['light', 'dark']) {
  for (const width of [1440, 390]) {
    const page = await open(browser, '/', { scheme, width, height: width > 800 ? 900 : 844 });
    const shoot = (name, fullPage = true) => page.screenshot({ path: join(folder, `${name}-${width}-${scheme}.png`), fullPage });
    await page.locator('[data-status=database]', { hasNotText: 'Checking' }).waitFor();
    await shoot('front');
    await page.goto('/docs');
    await shoot('reference', false);
    await page.goto('/docs#get-webshop-data-api-orders');
    await shoot('operation', false);
    await page.goto('/docs#schema-UnifiedOrder');
    await shoot('schema', false);
    await page.goto('/docs?q=audit');
    await shoot('search', false);
    await page.goto('/docs/errors');
    await shoot('errors');
    await page.goto('/docs/errors/store_slow');
    await shoot('error');
    await page.goto('/#sign-in');
    await signIn(page);
    await shoot('signed-in');
    await page.getByRole('button', { name: 'Connect WooCommerce' }).click();
    await shoot('connect', false);
    await page.goto('/account');
    await page.locator('.account:not([aria-busy])').waitFor();
    await page.getByRole('button', { name: 'Set up' }).click();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
    await shoot('account');
    await page.context().close();
  }
}
await browser.close();
