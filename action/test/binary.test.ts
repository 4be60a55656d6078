import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { copyOf, findBinary, type Download } from '../src/binary.ts';
import { Workflow } from '../src/workflow.ts';

/** A runner, and a place that a release can be downloaded from. */
function runner(
  inputs: Record<string, string>,
  { platform = 'linux-x64', file = '/', repository = 'platform/daypass' } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'daypass-binary-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const name of ['temp', 'tools', 'path', 'release']) mkdirSync(join(folder, name));
  const name = 'daypass-1.2.3-x86_64-unknown-linux-musl';
  const release = join(folder, 'release');
  mkdirSync(join(release, name));
  writeFileSync(join(release, name, 'daypass'), '#!/bin/sh\necho released\n', { mode: 0o755 });
  execFileSync('tar', ['-czf', join(release, `${name}.tar.gz`), '-C', release, name]);
  const sum = sha256(join(release, `${name}.tar.gz`));
  writeFileSync(join(release, 'SHA256SUMS'), `${sum}  ${name}.tar.gz\n${'0'.repeat(64)}  other.tar.gz\n`);

  const downloads: string[] = [];
  let log = '';
  const download: Download = (url, file) => {
    downloads.push(url);
    copyFileSync(join(release, basename(url)), file);
  };
  const workflow = new Workflow(
    {
      PATH: `.:${join(folder, 'path')}`,
      GITHUB_WORKSPACE: folder,
      GITHUB_SERVER_URL: 'https://github.example.com',
      GITHUB_ACTION_REPOSITORY: repository,
      GITHUB_REPOSITORY: 'example/payments',
      GITHUB_PATH: join(folder, 'added'),
      RUNNER_TEMP: join(folder, 'temp'),
      RUNNER_TOOL_CACHE: join(folder, 'tools'),
      ...Object.fromEntries(Object.entries(inputs).map(([key, value]) => [`INPUT_${key.toUpperCase()}`, value])),
    },
    (text) => void (log += text),
  );
  return { folder, release, downloads, log: () => log, find: () => findBinary(workflow, { platform, file, download }) };
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function program(file: string): string {
  writeFileSync(file, '#!/bin/sh\n', { mode: 0o755 });
  return file;
}

test('a program that is named is taken, below the workspace or anywhere', () => {
  const here = runner({ 'daypass-path': 'path/daypass' });
  const file = program(join(here.folder, 'path/daypass'));
  expect(readFileSync(here.find().file, 'utf8')).toBe(readFileSync(file, 'utf8'));
  expect(here.log()).toContain(`running ${file} (named by daypass-path), SHA-256 ${sha256(file)}`);
});

test('else the one on the PATH is taken, if it can be run, and the log says so', () => {
  const here = runner({});
  const file = program(join(here.folder, 'path/daypass'));
  const binary = here.find();
  expect(binary.sha256).toBe(sha256(file));
  expect(here.log()).toContain(
    `running ${file} (found on the PATH; daypass-version takes a release instead), SHA-256 `,
  );
  chmodSync(file, 0o644);
  expect(() => here.find()).toThrow('give a release'); // only a bundle knows which it is of
});

const BASE = 'https://github.example.com/platform/daypass/releases/download/v1.2.3';
const ARCHIVE = 'daypass-1.2.3-x86_64-unknown-linux-musl.tar.gz';

test('a release is downloaded from where the action is from, verified, and kept', () => {
  const here = runner({ 'daypass-version': 'v1.2.3' });
  program(join(here.folder, 'path/daypass')); // of which nobody knows what version it is
  const { file } = here.find();
  expect(execFileSync(file, { encoding: 'utf8' })).toBe('released\n');
  expect(file.startsWith(join(here.folder, 'temp'))).toBe(true);
  expect(readFileSync(join(here.folder, 'added'), 'utf8')).toBe(`${dirname(file)}\n`);
  expect(here.downloads).toEqual([`${BASE}/SHA256SUMS`, `${BASE}/${ARCHIVE}`]);
  expect(here.find().sha256).toBe(sha256(file));
  expect(here.downloads.slice(2)).toEqual([`${BASE}/SHA256SUMS`]);
});

test('what the job before has left in the cache is held to the checksums of the release', () => {
  const here = runner({ 'daypass-version': '1.2.3' });
  const cached = join(here.folder, 'tools/daypass/1.2.3', ARCHIVE);
  const name = basename(ARCHIVE, '.tar.gz');
  mkdirSync(dirname(cached), { recursive: true });
  mkdirSync(join(here.folder, 'path', name));
  program(join(here.folder, 'path', name, 'daypass'));
  execFileSync('tar', ['-czf', cached, '-C', join(here.folder, 'path'), name]);
  // Where the version before has kept what it ran.
  mkdirSync(join(dirname(cached), 'x86_64-unknown-linux-musl'));
  program(join(dirname(cached), 'x86_64-unknown-linux-musl/daypass'));
  expect(execFileSync(here.find().file, { encoding: 'utf8' })).toBe('released\n');
  expect(here.downloads).toEqual([`${BASE}/SHA256SUMS`, `${BASE}/${ARCHIVE}`]);
  expect(sha256(cached)).toBe(sha256(join(here.release, ARCHIVE)));
});

test('a program that was exchanged is not run', () => {
  const here = runner({ 'daypass-version': '1.2.3' });
  const binary = here.find();
  expect(execFileSync(copyOf(binary, here.release), { encoding: 'utf8' })).toBe('released\n');
  rmSync(binary.file);
  program(binary.file);
  expect(() => copyOf(binary, join(here.folder, 'path'))).toThrow(
    `${binary.file} is not the program that requested the role: its SHA-256 is ${sha256(binary.file)}, not ${binary.sha256}`,
  );
});

test.each([
  ['/home/runner/work/_actions/central/daypass/0123abc/action/dist/main.mjs', 'central/daypass'],
  ['/home/runner/work/payments/payments/action/dist/main.mjs', 'example/payments'],
])('without a word of the runner, the release is that of where %s is from', (file, from) => {
  const here = runner({ 'daypass-version': '1.2.3' }, { repository: '', file });
  here.find();
  expect(here.downloads[0]).toBe(`https://github.example.com/${from}/releases/download/v1.2.3/SHA256SUMS`);
});

test('an archive that is not what the release says is not used', () => {
  const here = runner({ 'daypass-version': '1.2.3' });
  const archive = join(here.release, 'daypass-1.2.3-x86_64-unknown-linux-musl.tar.gz');
  writeFileSync(archive, Buffer.concat([readFileSync(archive), Buffer.from([0])]));
  expect(() => here.find()).toThrow(/does not match the release: its SHA-256 is [0-9a-f]{64}, not/);
  writeFileSync(join(here.release, 'SHA256SUMS'), '');
  expect(() => here.find()).toThrow('SHA256SUMS of the release does not name daypass-1.2.3');
  expect(() => here.find()).toThrow(); // nothing was kept
});

test('a release that is not there says what to do instead', () => {
  const here = runner({ 'daypass-version': '9.9.9' });
  rmSync(join(here.release, 'SHA256SUMS'));
  expect(() => here.find()).toThrow(
    'cannot download release v9.9.9 of platform/daypass: if it exists and is private, install the binary on the runner',
  );
});

test.each(['latest', '1', '../../evil', '1.2.3/..'])('the version %s is refused', (version) => {
  expect(() => runner({ 'daypass-version': version }).find()).toThrow('give a release, as in `1.2.3`');
});

test('a platform without a release is named, with those that have one', () => {
  expect(() => runner({ 'daypass-version': '1.2.3' }, { platform: 'linux-riscv64' }).find()).toThrow(
    'there is no release for linux-riscv64, only for linux-x64, linux-arm64, darwin-x64, darwin-arm64',
  );
});
