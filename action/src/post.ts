/** After the job, however it ended: gives the role back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Daypass } from './daypass.ts';
import { environmentOf, type Credentials } from './settings.ts';
import * as summary from './summary.ts';
import { Workflow } from './workflow.ts';

/**
 * A request whose answer nobody has seen may still be on its way. A release of what Daypass does not know yet would be
 * refused, so it is given time to arrive; from then on a release ends it, however far it is.
 */
const ON_ITS_WAY_SECONDS = 5;

async function post(workflow: Workflow): Promise<void> {
  const transaction = workflow.state('transaction');
  const phase = workflow.state('phase');
  if (!transaction || phase === 'refused') {
    workflow.info('Daypass: there is no role to give back');
    return;
  }
  if (phase === 'requested') await sleep(ON_ITS_WAY_SECONDS * 1000);
  const before = JSON.parse(workflow.state('before')) as Credentials;
  await new Daypass(workflow, workflow.state('binary'), environmentOf(workflow, before)).release(transaction);
  workflow.info(`Daypass: the role of transaction ${transaction} was given back`);
  workflow.addSummary(summary.released(transaction));
}

const workflow = new Workflow();
try {
  await post(workflow);
} catch (error) {
  // The job has done what it had to do, and the role ends without anybody's help.
  const expiry = workflow.state('expires_at');
  const end = expiry ? `at ${expiry}` : 'when the time that was asked for is over';
  const reason = error instanceof Error ? error.message : String(error);
  workflow.warning('Daypass', `The role could not be given back: ${reason}\nIts lease ends it by itself, ${end}.`);
}
