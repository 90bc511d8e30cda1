// A browser for tests: Debian's Chromium, and everything that goes wrong in a page without anybody seeing it.

import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

/** What the demo tells of itself: its address, a login, a key, and shops that are not connected yet. */
export const demo = JSON.parse(process.env.E2E_DEMO);
export const origin = new URL(demo.url).origin;

function executable() {
  if (process.env.E2E_CHROMIUM) return process.env.E2E_CHROMIUM;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of process.env.PATH.split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        continue;
      }
    }
  }
  throw new Error('there is no Chromium: script/setup test installs it, E2E_CHROMIUM names another');
}

export function launch() {
  return chromium.launch({
    executablePath: executable(),
    // Chromium's sandbox does not work for root.
    chromiumSandbox: process.getuid() !== 0,
  });
}

/**
 * A page at `path` in a browser profile of its own. `quiet()` fails when the page has logged an error, broken its
 * Content-Security-Policy, thrown, or loaded something that failed or came from elsewhere.
 */
export async function open(browser, path, { width = 1280, height = 800, scheme = 'light', ...options } = {}) {
  const context = await browser.newContext({ baseURL: origin, viewport: { width, height }, colorScheme: scheme, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const wrong = [];
  // On a busy machine the program may hear of changes too late for a moment, says so, and the page shows it.
  const allowed = [/ 503 .*\/readyz\)$/];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) wrong.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => wrong.push(`thrown: ${error.message}`));
  page.on('requestfailed', (request) => {
    // What the page no longer waits for when it is left has not failed.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') wrong.push(`not loaded: ${request.url()} ${request.failure()?.errorText}`);
  });
  page.on('request', (request) => {
    const address = new URL(request.url());
    if (address.origin !== origin && !address.hostname.endsWith('.localhost')) wrong.push(`asked elsewhere: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`policy broken: ${event.violatedDirective} ${event.blockedURI}`));
  });
  page.quiet = () => {
    const left = wrong.filter((text) => !allowed.some((pattern) => pattern.test(text)));
    assert.deepEqual(left, [], `${page.url()} was not quiet`);
  };
  /** Browsers log every refused request; those of the test are not the page's fault. */
  page.allow = (...patterns) => allowed.push(...patterns);
  const response = await page.goto(path);
  assert.equal(response.status(), 200, path);
  return page;
}

/** Signs in with the demo's login. */
export async function signIn(page) {
  const form = page.locator('#sign-in');
  await form.getByLabel('E-mail').fill(demo.demo.email);
  await form.getByLabel('Password').fill(demo.demo.password);
  await form.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.store').first().waitFor();
  await page.locator('.workspace:not([data-loading])').waitFor();
}

/** Elements that make the page wider than the window. */
export function tooWide(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const wide = [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > width + 0.5);
    return [`${document.documentElement.scrollWidth}px of ${width}px`, ...wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120))];
  });
}

/** Visible texts whose contrast with what is behind them is below WCAG 2.2 AA. */
export function tooFaint(page) {
  return page.evaluate(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      return [red, green, blue, alpha / 255];
    };
    const over = ([red, green, blue, alpha], below) => [red, green, blue].map((value, index) => value * alpha + below[index] * (1 - alpha));
    const backdrop = (element) => {
      if (!element) return [255, 255, 255];
      const color = rgba(getComputedStyle(element).backgroundColor);
      return color[3] === 1 ? color.slice(0, 3) : over(color, backdrop(element.parentElement));
    };
    const luminance = (color) => {
      const [red, green, blue] = color.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const found = new Set();
    for (const element of document.querySelectorAll('body *')) {
      const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.textContent.trim()).join('');
      if (!text || !element.checkVisibility() || element.closest('[aria-disabled=true], :disabled, .visually-hidden, .skeleton')) continue;
      const style = getComputedStyle(element);
      const behind = backdrop(element);
      const [first, second] = [luminance(over(rgba(style.color), behind)), luminance(behind)].sort((a, b) => b - a);
      const contrast = (first + 0.05) / (second + 0.05);
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      if (contrast < (isLarge ? 3 : 4.5)) found.add(`${contrast.toFixed(2)} ${style.color} on ${behind.map(Math.round)} .${element.className} “${text.slice(0, 30)}”`);
    }
    return [...found];
  });
}

/** Presses Tab `times` times; what had the focus each time, and whether one could see it. */
export async function walk(page, times) {
  const steps = [];
  for (let step = 0; step < times; step += 1) {
    await page.keyboard.press('Tab');
    steps.push(await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      const top = element.closest('.top, .skip') ? 0 : document.querySelector('.top').getBoundingClientRect().bottom;
      return {
        name: (element.getAttribute('aria-label') || element.textContent || element.id).trim().slice(0, 40),
        hasOutline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        isInView: box.bottom > top && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
      };
    }));
  }
  return steps.filter(Boolean);
}
