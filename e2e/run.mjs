// Runs the tests of the pages against a demo of their own: free ports, a scratch folder, gone afterwards.
//
// script/e2e builds the program and calls this.
//
//   node run.mjs PROGRAM                     all tests
//   node run.mjs PROGRAM --screenshots DIR   no tests: pictures of the pages, to look at

import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const [program, option, pictures] = process.argv.slice(2);
if (!program || (option && (option !== '--screenshots' || !pictures))) {
  console.error('usage: node run.mjs PROGRAM [--screenshots DIR]');
  process.exit(2);
}

const here = fileURLToPath(new URL('.', import.meta.url));
const scratch = await mkdtemp(join(tmpdir(), 'entrepot-e2e-'));
// PostgreSQL runs as another user under root, and must get through.
await chmod(scratch, 0o711);

const said = [];
const demo = spawn(program, ['demo', '--free-ports', '--data-dir', join(scratch, 'demo')], { stdio: ['ignore', 'pipe', 'pipe'] });
for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (data) => said.push(data));
const ended = new Promise((done) => demo.on('close', done));
demo.on('error', (error) => said.push(`${error.message}\n`));

/** What the demo tells of itself, once it is up. */
async function facts() {
  const path = join(scratch, 'demo', 'running.json');
  for (let waited = 0; waited < 60_000 && demo.exitCode === null; waited += 50) {
    try {
      return JSON.parse(await readFile(path, 'utf8'));
    } catch (error) {
      // Not there yet, or half written.
      if (error.code !== 'ENOENT' && !(error instanceof SyntaxError)) throw error;
    }
    await sleep(50);
  }
  throw new Error(`the demo did not start:\n${said.join('')}`);
}

async function run() {
  const environment = { ...process.env, E2E_DEMO: JSON.stringify(await facts()) };
  const files = (await readdir(here)).filter((name) => name.endsWith('.test.mjs')).sort();
  const parameters = option ? ['screenshots.mjs', resolve(pictures)] : ['--test', '--test-reporter=spec', ...files];
  const child = spawn(process.execPath, parameters, { cwd: here, env: environment, stdio: 'inherit' });
  return new Promise((done) => child.on('close', (status) => done(status ?? 1)));
}

let status = 1;
try {
  status = await run();
  if (status !== 0) console.error(`The demo said:\n${said.join('')}`);
} catch (error) {
  console.error(error.message);
} finally {
  demo.kill('SIGINT');
  await ended;
  await rm(scratch, { recursive: true, force: true });
}
process.exit(status);
