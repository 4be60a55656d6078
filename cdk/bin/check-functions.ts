/** Judges built functions as a deployment does: `check-functions.ts FOLDER ARCHITECTURE`. */
import type { Architecture } from '../lib/executable.ts';
import { bootstrapOf, wrongWith } from '../lib/functions.ts';
import { TASKS } from '../lib/names.ts';

const [folder = '', architecture = ''] = process.argv.slice(2);
for (const task of TASKS) {
  const problem = wrongWith(folder, task, architecture as Architecture);
  if (!problem) continue;
  console.error(`${bootstrapOf(folder, task)} ${problem}`);
  process.exitCode = 1;
}
