import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { launch, open, origin, tooFaint, tooWide } from './browser.mjs';

const PASSWORD = 'a long enough pass phrase';

/** What an authenticator app shows for a key, by RFC 6238. */
function code(key, ahead = 0) {
  const bits = [...key].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const digest = createHmac('sha1', secret).update(step).digest();
  return String((digest.readUInt32BE(digest[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** Somebody who has just signed up, on their account page. */
async function account(browser, options) {
  const page = await open(browser, '/#sign-up', options);
  const email = `account-${Date.now()}-${Math.floor(Math.random() * 1e6)}@people.example`;
  const form = page.locator('#sign-up');
  await form.getByLabel('Your name').fill('Kata');
  await form.getByLabel('Organization').fill('Kata & Co.');
  await form.getByLabel('E-mail').fill(email);
  await form.getByLabel('Password').fill(PASSWORD);
  await form.getByRole('button', { name: 'Create account' }).click();
  await page.locator('.workspace:not([data-loading])').waitFor();
  await page.getByRole('link', { name: 'Account' }).click();
  await page.locator('.account:not([aria-busy])').waitFor();
  return { page, email };
}

async function signOut(page) {
  await page.goto('/');
  await page.locator('.workspace:not([data-loading])').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
}

async function typePassword(page, email) {
  const form = page.locator('#sign-in');
  await form.getByLabel('E-mail').fill(email);
  await form.getByLabel('Password').fill(PASSWORD);
  await form.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** Sets up an authenticator app; its key and the recovery codes. */
async function setUpApp(page) {
  await page.getByRole('button', { name: 'Set up' }).click();
  await page.getByRole('img', { name: 'QR code' }).waitFor();
  const key = (await page.locator('[data-x=secret]').innerText()).replaceAll(' ', '');
  await page.getByLabel('Code that it shows').fill(code(key));
  await page.getByRole('button', { name: 'Confirm' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Save these codes now').waitFor();
  const codes = await dialog.locator('code').allInnerTexts();
  assert.equal(codes.length, 10);
  await dialog.getByRole('button', { name: 'I saved them' }).click();
  return { key, codes };
}

describe('the account page', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  it('sets up an authenticator app, whose code is then asked for', async () => {
    const { page, email } = await account(browser);
    const { key, codes } = await setUpApp(page);
    await signOut(page);
    await typePassword(page, email);
    const dialog = page.getByRole('dialog', { name: 'One more step' });
    page.allow(/403 \(Forbidden\)/);
    await dialog.getByLabel('Code of your authenticator app').fill('000000');
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await dialog.getByRole('alert').getByText('It is wrong').waitFor();
    await dialog.getByLabel('Code of your authenticator app').fill(code(key, 1));
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await page.locator('.workspace:not([data-loading])').waitFor();
    await signOut(page);
    await typePassword(page, email);
    await dialog.getByRole('button', { name: 'Use a recovery code' }).click();
    await dialog.getByLabel('Recovery code').fill(codes[0].toUpperCase());
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await page.locator('.workspace:not([data-loading])').waitFor();
    page.quiet();
    await page.context().close();
  });

  it('adds a passkey of the browser’s own, which signs in alone and as the second step', async () => {
    const { page, email } = await account(browser);
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('WebAuthn.enable');
    const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    });
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await page.getByRole('dialog', { name: 'Name the passkey' }).getByLabel('Name').fill('My laptop');
    await page.getByRole('dialog', { name: 'Name the passkey' }).getByRole('button', { name: 'Save' }).click();
    await page.getByRole('button', { name: 'I saved them' }).click();
    await page.getByText('My laptop', { exact: true }).waitFor();
    await signOut(page);
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.locator('.workspace:not([data-loading])').waitFor();
    await signOut(page);
    await typePassword(page, email);
    await page.getByRole('dialog', { name: 'One more step' }).getByRole('button', { name: 'Use a passkey' }).click();
    await page.locator('.workspace:not([data-loading])').waitFor();
    // A finger that is not the person's.
    await signOut(page);
    await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.locator('#sign-in').getByRole('alert').waitFor();
    assert.equal(await page.locator('.workspace').count(), 0);
    page.quiet();
    await page.context().close();
  });

  it('fits a small phone, is readable in both looks, and leads strangers to the way in', async () => {
    for (const scheme of ['light', 'dark']) {
      const { page } = await account(browser, { width: 320, height: 740, scheme });
      await page.getByRole('button', { name: 'Set up' }).click();
      await page.getByRole('img', { name: 'QR code' }).waitFor();
      assert.deepEqual(await tooWide(page), []);
      assert.deepEqual(await tooFaint(page), []);
      page.quiet();
      await page.context().close();
    }
    const page = await open(browser, '/');
    page.allow(/401 \(Unauthorized\)/);
    await page.goto('/account');
    await page.waitForURL(`${origin}/?ended`);
    page.quiet();
    await page.context().close();
  });
});
