/** After the job, however it ended: gives the role back, and says so only when Daypass has shown that it is so. */
import { Daypass, DaypassError, type Refusal } from './daypass.ts';
import { environmentOf, type Credentials } from './settings.ts';
import * as summary from './summary.ts';
import { Workflow } from './workflow.ts';

async function post(workflow: Workflow): Promise<void> {
  const transaction = workflow.state('transaction');
  const phase = workflow.state('phase');
  if (!transaction || phase === 'refused') {
    workflow.info('Daypass: there is no role to give back');
    return;
  }
  const before = JSON.parse(workflow.state('before')) as Credentials;
  const daypass = new Daypass(workflow, workflow.state('binary'), environmentOf(workflow, before));
  try {
    // A request whose answer nobody has seen may still be on its way.
    const status = await daypass.release(transaction, phase === 'requested');
    released(workflow, transaction, status);
  } catch (error) {
    const refusal: Refusal = error instanceof DaypassError ? error.refusal : { reason: messageOf(error) };
    if (refusal.status === 'unconfirmed') {
      unconfirmed(workflow, transaction, refusal);
    } else if (refusal.error === 'Daypass.TransactionNotFound' && phase !== 'granted') {
      unknown(workflow, transaction, phase);
    } else {
      failed(workflow, transaction, refusal);
    }
  }
}

function released(workflow: Workflow, transaction: string, status: string): void {
  switch (status) {
    case 'deprovisioned':
    case 'deprovisioning':
      workflow.info(`Daypass: the role of transaction ${transaction} was given back`);
      workflow.addSummary(summary.released(transaction));
      return;
    case 'failed':
    case 'denied':
      workflow.info(`Daypass: transaction ${transaction} has ended as ${status}: there is no role to give back`);
      return;
    default:
      // Versions before said that a release was started, and not what became of it.
      unconfirmed(workflow, transaction, {
        reason: `the command says \`${status}\`, which does not show that the role is gone`,
        remedy: 'use the version of the command that belongs to this version of the action',
      });
  }
}

/** Daypass has the release, and goes on without this job. */
function unconfirmed(workflow: Workflow, transaction: string, refusal: Refusal): void {
  const lines = ['Nobody knows yet whether the role is gone:', ...words(refusal), end(workflow)];
  workflow.warning('Daypass', lines.join('\n'));
  workflow.addSummary(summary.notReleased('release not confirmed', refusal, transaction, end(workflow)));
}

/** Nobody has granted a role: this step has told why, or was cut off. */
function unknown(workflow: Workflow, transaction: string, phase: string): void {
  if (phase !== 'requested') {
    workflow.info('Daypass: there is no role to give back');
    return;
  }
  workflow.warning(
    'Daypass',
    `Daypass does not know transaction ${transaction}, so there is no role to give back so far. Should the request ` +
      `arrive yet, \`daypass release ${transaction}\` gives the role back; else its lease ends it.`,
  );
}

/** Somebody has to do something about it: a role may be there, and nobody is taking it away before its lease ends. */
function failed(workflow: Workflow, transaction: string, refusal: Refusal): void {
  const lines = ['The role could not be given back:', ...words(refusal), end(workflow)];
  workflow.error(refusal.error ?? 'Daypass', lines.join('\n'));
  workflow.addSummary(summary.notReleased('role not given back', refusal, transaction, end(workflow)));
  process.exitCode = 1;
}

function words(refusal: Refusal): string[] {
  const { reason, remedy, docs } = refusal;
  return [reason, remedy && `What to do: ${remedy}`, docs && `More: ${docs}`].filter(
    (line) => typeof line === 'string',
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function end(workflow: Workflow): string {
  const expiry = workflow.state('expires_at');
  return `Its lease ends it by itself, ${expiry ? `at ${expiry}` : 'when the time that was asked for is over'}.`;
}

const workflow = new Workflow();
try {
  await post(workflow);
} catch (error) {
  workflow.error('Daypass', `The role could not be given back: ${messageOf(error)}\n${end(workflow)}`);
  process.exitCode = 1;
}
