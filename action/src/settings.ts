/** From the inputs to the environment of the CLI, which knows what they mean. */
import { join } from 'node:path';
import type { Environment, Workflow } from './workflow.ts';

/** Each input that is a setting of the CLI, and its variable there. */
const SETTINGS = {
  account: 'DAYPASS_ACCOUNT',
  'account-id': 'DAYPASS_ACCOUNT_ID',
  accounts: 'DAYPASS_ACCOUNTS',
  'group-type': 'DAYPASS_GROUP_TYPE',
  ttl: 'DAYPASS_TTL',
  'job-timeout': 'DAYPASS_JOB_TIMEOUT',
  'session-duration': 'DAYPASS_SESSION_DURATION',
  email: 'DAYPASS_EMAIL',
  branch: 'DAYPASS_BRANCH',
  justification: 'DAYPASS_JUSTIFICATION',
  'provision-arn': 'DAYPASS_PROVISION_ARN',
  'deprovision-arn': 'DAYPASS_DEPROVISION_ARN',
  'renew-arn': 'DAYPASS_RENEW_ARN',
  'invoker-role-arn': 'DAYPASS_INVOKER_ROLE_ARN',
  'identity-token-key-arn': 'DAYPASS_IDENTITY_TOKEN_KEY_ARN',
  'identity-token-audience': 'DAYPASS_IDENTITY_TOKEN_AUDIENCE',
  config: 'DAYPASS_CONFIG_FILE',
} as const;

/** Variables that say which AWS credentials a process has. After `main` they are those of the granted role. */
export const CREDENTIAL_VARIABLES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
] as const;

export type Credentials = Partial<Record<(typeof CREDENTIAL_VARIABLES)[number], string>>;

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
  return join(temporary, 'daypass');
}

/** Where the CLI keeps the session, until it is released. */
export function sessions(workflow: Workflow): string {
  return join(folder(workflow), 'sessions');
}

/** The settings of the CLI that this step gives, beside what the job's environment has. */
export function settings(workflow: Workflow): Record<string, string> {
  const given = Object.entries(SETTINGS)
    .map(([input, variable]) => [variable, workflow.input(input)])
    .filter(([, value]) => value !== '');
  return { ...Object.fromEntries(given), DAYPASS_STATE_DIR: sessions(workflow) };
}

/** The AWS credentials that the job had before. */
export function credentialsOf(environment: Environment): Credentials {
  const names = CREDENTIAL_VARIABLES.filter((name) => environment[name]);
  return Object.fromEntries(names.map((name) => [name, environment[name]]));
}

/** The environment that the CLI runs in, with the AWS credentials that the job had before. */
export function environmentOf(workflow: Workflow, credentials: Credentials): Environment {
  const inherited = Object.entries(workflow.environment).filter(
    ([name]) => !name.startsWith('INPUT_') && !name.startsWith('STATE_') && !isCredential(name),
  );
  return { ...Object.fromEntries(inherited), ...credentials, ...settings(workflow) };
}

function isCredential(name: string): boolean {
  return (CREDENTIAL_VARIABLES as readonly string[]).includes(name);
}
