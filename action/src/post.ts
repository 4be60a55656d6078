/**
 * After the job, however it ended: gives the role back, and says so only when Daypass has shown that it is so.
 *
 * The steps in between can set every variable of this process, and change every file. So nothing of either is used but what
 * `main` has saved: its environment, its configuration files, and its binary, which is compared.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyOf } from './binary.ts';
import { Daypass, DaypassError, type Refusal } from './daypass.ts';
import { load, type Saved } from './state.ts';
import * as summary from './summary.ts';
import { Workflow } from './workflow.ts';

async function post(workflow: Workflow, saved: Saved | undefined): Promise<void> {
  if (!saved || saved.phase === 'refused') {
    workflow.info('Daypass: there is no role to give back');
    return;
  }
  try {
    told(workflow, saved, await release(workflow, saved));
  } catch (error) {
    const refusal = error instanceof DaypassError ? error.refusal : unasked(saved, error);
    if (refusal.status === 'unconfirmed') {
      unconfirmed(workflow, saved, refusal);
    } else if (refusal.error === 'Daypass.TransactionNotFound' && saved.phase !== 'granted') {
      unknown(workflow, saved);
    } else {
      failed(workflow, saved, refusal);
    }
  }
}

/** Why nobody could be asked. */
function unasked({ transaction }: Saved, error: unknown): Refusal {
  const remedy = `run \`daypass release ${transaction}\` on a machine that this job cannot change`;
  return { reason: messageOf(error), remedy };
}

/** Releases the role with what `main` has saved, and returns how the transaction has ended. */
async function release(workflow: Workflow, { transaction, phase, binary, environment, files }: Saved): Promise<string> {
  const temporary = environment.RUNNER_TEMP ?? '';
  mkdirSync(temporary, { recursive: true });
  const folder = mkdtempSync(join(temporary, 'daypass-release-'));
  try {
    const named = Object.entries(files).map(([variable, text]) => {
      writeFileSync(join(folder, variable), text, { mode: 0o600 });
      return [variable, join(folder, variable)];
    });
    const daypass = new Daypass(workflow, copyOf(binary, folder), {
      ...environment,
      ...Object.fromEntries(named),
      // A session that is kept says where it was granted, and can be locked: no other step's file counts here.
      DAYPASS_STATE_DIR: join(folder, 'sessions'),
    });
    // A request whose answer nobody has seen may still be on its way.
    const status = await daypass.release(transaction, phase === 'requested');
    rmSync(join(environment.DAYPASS_STATE_DIR ?? '', `${transaction}.json`), { recursive: true, force: true });
    return status;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function told(workflow: Workflow, saved: Saved, status: string): void {
  const { transaction } = saved;
  switch (status) {
    case 'deprovisioned':
      workflow.info(`Daypass: the role of transaction ${transaction} was given back`);
      workflow.addSummary(summary.released(transaction));
      return;
    case 'failed':
    case 'denied':
      workflow.info(`Daypass: transaction ${transaction} has ended as ${status}: there is no role to give back`);
      return;
    default:
      // Versions before said that a release was started, and not what became of it.
      unconfirmed(workflow, saved, {
        reason: `the command answered \`${status}\`, which does not prove that the role is gone`,
        remedy: 'use the version of the command that belongs to this version of the action',
      });
  }
}

/** Daypass has the release, and goes on without this job. */
function unconfirmed(workflow: Workflow, saved: Saved, refusal: Refusal): void {
  const lines = ['It is unknown whether the role is gone:', ...words(refusal), end(saved)];
  workflow.warning('Daypass', lines.join('\n'));
  workflow.addSummary(summary.notReleased('release not confirmed', refusal, saved.transaction, end(saved)));
}

/** Nobody has granted a role: this step has told why, or was cut off. */
function unknown(workflow: Workflow, { transaction, phase }: Saved): void {
  if (phase !== 'requested') {
    workflow.info('Daypass: there is no role to give back');
    return;
  }
  workflow.warning(
    'Daypass',
    `Daypass does not know transaction ${transaction}, so there is no role to release yet. If the request ` +
      `still arrives, \`daypass release ${transaction}\` releases the role; otherwise its lease ends it.`,
  );
}

/** Somebody has to do something about it: a role may be there, and nobody is taking it away before its lease ends. */
function failed(workflow: Workflow, saved: Saved, refusal: Refusal): void {
  const lines = ['The role could not be given back:', ...words(refusal), end(saved)];
  workflow.error(refusal.error ?? 'Daypass', lines.join('\n'));
  workflow.addSummary(summary.notReleased('role not given back', refusal, saved.transaction, end(saved)));
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

function end(saved?: Saved): string {
  const expiry = saved?.expiresAt;
  return `Its lease ends it by itself, ${expiry ? `at ${expiry}` : 'when the requested time is over'}.`;
}

const workflow = new Workflow();
let saved: Saved | undefined;
try {
  saved = load(workflow);
  await post(workflow, saved);
} catch (error) {
  workflow.error('Daypass', `The role could not be given back: ${messageOf(error)}\n${end(saved)}`);
  process.exitCode = 1;
}
