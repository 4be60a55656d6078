import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkPersonas } from '../lib/personas.ts';
import { VERSION } from '../lib/version.ts';
import { exampleConfig } from './app.ts';

/** A stand-in for the command: says its version, and of any check what `check` prints, with this exit code. */
function command(check: string, code: number, its = VERSION): string {
  const path = join(mkdtempSync(join(tmpdir(), 'command-')), 'daypass');
  writeFileSync(path, `#!/bin/sh\n[ "$1" = --version ] && { echo daypass ${its}; exit; }\n${check}\nexit ${code}\n`);
  chmodSync(path, 0o755);
  return path;
}
const config = exampleConfig({ personas_file: '/etc/personas.json' });
const judge = (...candidates: string[]) => checkPersonas(config, '/etc/config.json', candidates);

test('the command is asked about the configured file and the configuration', () => {
  const asked = '[ "$*" = "personas check /etc/personas.json --config /etc/config.json" ] || exit 9';
  expect(() => judge(command(asked, 0))).not.toThrow();
});

test('what it finds stops the deployment, in its words', () => {
  expect(() => judge(command('echo "accounts[2].environment: is not one"', 1))).toThrow(
    '/etc/personas.json cannot be deployed:\naccounts[2].environment: is not one',
  );
  expect(() => judge(command('echo "/etc/personas.json: cannot be read" >&2', 2))).toThrow('cannot be read');
});

test('without the command nothing is deployed', () => {
  expect(() => judge('/nowhere/daypass')).toThrow(
    /`daypass`, which checks \/etc\/personas.json, is not there: install it/,
  );
  expect(() => judge('/nowhere/daypass', command('', 0))).not.toThrow();
});

test('a command of another version may take what the functions refuse', () => {
  expect(() => judge(command('', 0, '0.0.9'))).toThrow(`is version 0.0.9, and this is Daypass ${VERSION}: install it`);
});
