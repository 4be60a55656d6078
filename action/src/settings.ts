/** From the inputs to the environment of the CLI, which knows what they mean. */
import { mkdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Workflow } from './workflow.ts';

/** The inputs that are settings of the CLI, under the same names. */
const SETTINGS = [
  'account',
  'account-id',
  'accounts',
  'group-type',
  'ttl',
  'job-timeout',
  'session-duration',
  'email',
  'branch',
  'justification',
  'provision-arn',
  'deprovision-arn',
  'renew-arn',
  'invoker-role-arn',
  'identity-token-key-arn',
  'identity-token-audience',
] as const;

/** The variable of a setting: `account-id` is `DAYPASS_ACCOUNT_ID`. */
const variable = (input: string): string => `DAYPASS_${input.replaceAll('-', '_').toUpperCase()}`;

/** Variables that say which AWS credentials a process has. After this step they are those of the granted role. */
export const CREDENTIAL_VARIABLES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
] as const;

/** How later steps get at the granted role. */
export type Mode = 'environment' | 'process';

export function mode(workflow: Workflow): Mode {
  const value = workflow.input('credentials') || 'environment';
  if (value !== 'environment' && value !== 'process') {
    throw new Error(`credentials is \`${value}\`: give \`environment\` or \`process\``);
  }
  return value;
}

/** A folder for what this job needs of Daypass. The runner empties its temporary folder when a job begins and ends. */
export function folder(workflow: Workflow): string {
  const temporary = workflow.environment.RUNNER_TEMP;
  if (!temporary) throw new Error('RUNNER_TEMP is not set: this runs only as a step of GitHub Actions');
  const own = join(temporary, 'daypass');
  mkdirSync(own, { recursive: true, mode: 0o700 });
  return own;
}

/** The AWS configuration with the profiles of this job. */
export function profiles(workflow: Workflow): string {
  return join(folder(workflow), 'config');
}

/** Where the CLI keeps the session, until it is released. */
export function sessions(workflow: Workflow): string {
  return join(folder(workflow), 'sessions');
}

/** The settings of the CLI that this step gives, beside what the job's environment has. */
export function settings(workflow: Workflow): Record<string, string> {
  const given = [...SETTINGS.map((input) => [variable(input), input]), ['DAYPASS_CONFIG_FILE', 'config']]
    .map(([name = '', input = '']) => [name, workflow.input(input)])
    .filter(([, value]) => value !== '');
  return { ...Object.fromEntries(given), DAYPASS_STATE_DIR: sessions(workflow) };
}

/**
 * The environment that the CLI runs in: that of this step, with the inputs as settings. An empty variable counts as none, and so
 * does the profile of an earlier step: its role may not ask Daypass.
 */
export function environmentOf(workflow: Workflow): Record<string, string> {
  const inherited = Object.fromEntries(
    Object.entries(workflow.environment).filter(
      (entry): entry is [string, string] => !!entry[1] && !/^(INPUT|STATE)_/.test(entry[0]),
    ),
  );
  if (inherited.AWS_CONFIG_FILE === profiles(workflow)) {
    delete inherited.AWS_CONFIG_FILE;
    delete inherited.AWS_PROFILE;
  }
  return { ...inherited, ...settings(workflow) };
}

/**
 * The contents of the files that the CLI is configured by, by the variables that name them; empty for one that is not there.
 * Where they are: docs/cli.md, https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
 */
export function configurationOf(environment: Record<string, string>): Record<string, string> {
  const { HOME, XDG_CONFIG_HOME } = environment;
  const below = (home: string | undefined, path: string): string => (home ? join(home, path) : '');
  const xdg = XDG_CONFIG_HOME && isAbsolute(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : below(HOME, '.config');
  const usual = {
    AWS_CONFIG_FILE: below(HOME, '.aws/config'),
    AWS_SHARED_CREDENTIALS_FILE: below(HOME, '.aws/credentials'),
    DAYPASS_CONFIG_FILE: below(xdg, 'daypass/config.toml'),
  };
  const files = Object.entries(usual).map(([variable, place]) => [variable, environment[variable] ?? place] as const);
  return Object.fromEntries(files.map(([variable, file]) => [variable, textOf(file.replace(/^~(?=\/)/, HOME ?? '~'))]));
}

/** The text of a file; empty if there is none. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
