/** `credentials: process`: an AWS profile that asks the CLI for credentials, so that SDKs renew them by themselves. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CREDENTIAL_VARIABLES, folder, settings } from './settings.ts';
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
 * Makes a profile, named after the account, that of the job. The profiles of further accounts stand beside it.
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
  const profile = account.replace(/[^\w.@-]/g, '-');
  const profiles = folder(workflow);

  const script = join(profiles, `credentials-${transaction}`);
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

  const config = join(profiles, 'config');
  appendFileSync(config, `[profile ${profile}]\ncredential_process = "${script}"\n\n`, { mode: 0o600 });

  workflow.exportVariable('AWS_CONFIG_FILE', config);
  workflow.exportVariable('AWS_PROFILE', profile);
  // A variable cannot be taken back, but an empty one counts as none, and keys would count more than a profile.
  for (const name of INVOKER_KEYS) {
    if (environment[name]) workflow.exportVariable(name, '');
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
