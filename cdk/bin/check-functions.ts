/** Judges built functions as a deployment does: `check-functions.ts FOLDER ARCHITECTURE`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Architecture, unfit } from '../lib/executable.ts';

const [folder = '', architecture = ''] = process.argv.slice(2);
for (const task of readdirSync(folder)) {
  const bootstrap = join(folder, task, 'bootstrap');
  const problem = unfit(readFileSync(bootstrap), architecture as Architecture);
  if (!problem) continue;
  console.error(`${bootstrap} ${problem}`);
  process.exitCode = 1;
}
