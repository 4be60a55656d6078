/** `credentials: process`: AWS profiles that ask the CLI for credentials, so that SDKs renew them by themselves. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CREDENTIAL_VARIABLES, folder, profiles, settings, textOf } from './settings.ts';
import type { Workflow } from './workflow.ts';

const INVOKER_KEYS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

/** Whether credentials can be renewed without anything secret being written down. Throws, with what to do, if not. */
export function checkRenewable(environment: Record<string, string>): void {
  if (!environment.DAYPASS_INVOKER_ROLE_ARN && INVOKER_KEYS.some((name) => environment[name])) {
    throw new Error(
      '`credentials: process` needs invoker-role-arn: the AWS credentials of this job would have expired when the ' +
        'role is renewed, and they are not written down',
    );
  }
}

/**
 * Makes a profile of the role's name, and that of the account the same; the latter becomes the job's. The profiles of other
 * steps stand beside them.
 *
 * The profile runs a script and not the CLI itself: it has to have this step's settings, whichever step runs it, and must
 * not look for the invoker's credentials in the profile that it is asked for.
 */
export function writeProfile(
  workflow: Workflow,
  binary: string,
  account: string,
  transaction: string,
  environment: Record<string, string>,
): void {
  const script = join(folder(workflow), `credentials-${transaction}`);
  const { AWS_PROFILE, AWS_CONFIG_FILE } = environment;
  const variables = Object.entries({ AWS_PROFILE, AWS_CONFIG_FILE, ...settings(workflow) });
  const lines = [
    '#!/bin/sh',
    '# Written by the Daypass action. Nothing here is secret.',
    `unset ${CREDENTIAL_VARIABLES.join(' ')}`,
    ...variables.filter(([, value]) => value).map(([name, value]) => `export ${name}=${quoted(value ?? '')}`),
    `exec ${quoted(binary)} credentials --transaction ${quoted(transaction)}`,
  ];
  writeFileSync(script, `${lines.join('\n')}\n`, { mode: 0o700 });

  const unique = `daypass-${transaction}`;
  const names = isProfileName(account) ? [account, unique] : [unique];
  const config = profiles(workflow);
  writeFileSync(`${config}.next`, withProfiles(textOf(config), names, script), { mode: 0o600 });
  renameSync(`${config}.next`, config);

  workflow.exportVariable('AWS_CONFIG_FILE', config);
  workflow.exportVariable('AWS_PROFILE', names[0] ?? unique);
  workflow.setOutput('profile', unique);
  // A variable cannot be taken back, but an empty one counts as none, and keys would count more than a profile.
  for (const name of INVOKER_KEYS) {
    if (environment[name]) workflow.exportVariable(name, '');
  }
}

/**
 * Whether every SDK reads this as the name of a profile, and as this one. Another account's name must not become the same, so
 * nothing is replaced. `default` is what programs take that are told nothing.
 */
function isProfileName(account: string): boolean {
  return /^[\w.@-]+$/.test(account) && account !== 'default';
}

/** A configuration with these profiles. Those that had the name before are gone: SDKs refuse a file with a name twice. */
function withProfiles(config: string, names: string[], script: string): string {
  const headers = names.map((name) => `[profile ${name}]\n`);
  const others = config.split(/^(?=\[)/m).filter((section) => !headers.some((header) => section.startsWith(header)));
  return [...others, ...headers.map((header) => `${header}credential_process = "${script}"\n\n`)].join('');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
