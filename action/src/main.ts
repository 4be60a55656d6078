/** The step itself: asks for a role, and gives its credentials to the steps that follow. */
import { randomUUID } from 'node:crypto';
import { findBinary } from './binary.ts';
import { Daypass, DaypassError, type Grant, type Keys } from './daypass.ts';
import { checkRenewable, writeProfile } from './profile.ts';
import { configurationOf, environmentOf, mode, sessions, type Mode } from './settings.ts';
import { save, type Saved } from './state.ts';
import * as summary from './summary.ts';
import { Workflow } from './workflow.ts';

async function main(workflow: Workflow): Promise<void> {
  if (process.platform === 'win32') {
    throw new Error('Daypass does not run on Windows: give the job `runs-on: ubuntu-latest`, or a runner with macOS');
  }
  const how = mode(workflow);
  const account = workflow.input('account');
  if (!account) throw new Error('account is missing: name the account to deploy to');
  const environment = environmentOf(workflow);
  maskAll(workflow, [environment.AWS_ACCESS_KEY_ID, environment.AWS_SECRET_ACCESS_KEY, environment.AWS_SESSION_TOKEN]);
  if (how === 'process') checkRenewable(environment);
  const binary = findBinary(workflow);

  // Whatever ends this process from here on, `post` knows what to release, and can.
  const transaction = randomUUID();
  const saved: Saved = {
    transaction,
    phase: 'requested',
    binary,
    environment,
    files: configurationOf(environment),
  };
  save(workflow, saved);

  const daypass = new Daypass(workflow, binary.file, environment);
  const grant = await requested(workflow, daypass, how, account, saved);
  save(workflow, { ...saved, phase: 'granted', expiresAt: grant.expires_at });

  const keys = await daypass.credentials(transaction);
  maskAll(workflow, [keys.AccessKeyId, keys.SecretAccessKey, keys.SessionToken]);
  if (how === 'process') {
    writeProfile(workflow, binary.file, account, transaction, environment);
  } else {
    exportKeys(workflow, keys);
  }
  announce(workflow, grant, transaction);
}

/** Masks credentials. The id of a key is no secret, but nobody needs it in a log. */
function maskAll(workflow: Workflow, secrets: (string | undefined)[]): void {
  for (const secret of secrets) {
    if (secret) workflow.mask(secret);
  }
}

async function requested(
  workflow: Workflow,
  daypass: Daypass,
  how: Mode,
  account: string,
  saved: Saved,
): Promise<Grant> {
  const { transaction } = saved;
  try {
    // What is exported to later steps, nobody renews.
    return await daypass.request(transaction, how === 'environment');
  } catch (error) {
    if (error instanceof DaypassError) {
      if (!error.interrupted) save(workflow, { ...saved, phase: error.nothingGranted ? 'refused' : 'failed' });
      workflow.addSummary(summary.refused(error.refusal, error.denied, account, transaction));
    }
    throw error;
  }
}

function exportKeys(workflow: Workflow, keys: Keys): void {
  workflow.exportVariable('AWS_ACCESS_KEY_ID', keys.AccessKeyId);
  workflow.exportVariable('AWS_SECRET_ACCESS_KEY', keys.SecretAccessKey);
  workflow.exportVariable('AWS_SESSION_TOKEN', keys.SessionToken);
  workflow.exportVariable('AWS_CREDENTIAL_EXPIRATION', keys.Expiration);
}

function announce(workflow: Workflow, grant: Grant, transaction: string): void {
  const region = workflow.input('aws-region');
  if (region) {
    workflow.exportVariable('AWS_REGION', region);
    workflow.exportVariable('AWS_DEFAULT_REGION', region);
  }
  workflow.exportVariable('DAYPASS_TRANSACTION_ID', transaction);
  workflow.exportVariable('DAYPASS_STATE_DIR', sessions(workflow));
  workflow.setOutput('transaction-id', transaction);
  workflow.setOutput('role-arn', grant.iam_role_arn);
  workflow.setOutput('role-name', grant.role_name);
  workflow.setOutput('expires-at', grant.expires_at);
  workflow.setOutput('persona', grant.persona);
  workflow.setOutput('aws-account-id', grant.account_id);
  workflow.addSummary(summary.granted(grant));
}

const workflow = new Workflow();
try {
  await main(workflow);
} catch (error) {
  const refusal = error instanceof DaypassError ? error.refusal : undefined;
  const lines = [
    error instanceof Error ? error.message : String(error),
    refusal?.remedy && `What to do: ${refusal.remedy}`,
    refusal?.docs && `More: ${refusal.docs}`,
  ];
  workflow.error(refusal?.error ?? 'Daypass', lines.filter(Boolean).join('\n'));
  process.exitCode = 1;
}
