/** The built functions that a deployment of the hub packs: `<task>/bootstrap` below the configured folder. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Architecture, unfit } from './executable.ts';
import type { Task } from './names.ts';
import { VERSION } from './version.ts';

/** Bytes of a package, unzipped: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. */
const MOST_BYTES = 250 * 1024 * 1024;

export const bootstrapOf = (folder: string, task: Task): string => join(folder, task, 'bootstrap');

/**
 * Says why a function must not be deployed: every request would fail after the deployment.
 *
 * @returns what is wrong, as the rest of a sentence about its file; nothing when it can be deployed
 */
export function wrongWith(folder: string, task: Task, architecture: Architecture): string | undefined {
  const file = bootstrapOf(folder, task);
  try {
    const found = statSync(file);
    // Others have no end, or none that comes.
    if (!found.isFile()) return 'is not a file';
    if (found.size > MOST_BYTES)
      return `has ${found.size.toLocaleString('en')} bytes, and AWS Lambda takes ${MOST_BYTES.toLocaleString('en')}`;
    const binary = readFileSync(file);
    return unfit(binary, architecture) ?? ofAnotherVersion(binary);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'does not exist' : `cannot be read (${code})`;
  }
}

/** Says of which version a function is, if it is of another one: what its main function says when it cannot start. */
function ofAnotherVersion(binary: Buffer): string | undefined {
  const [, its] = /the function of Daypass (\S+) cannot start/.exec(binary.toString('latin1')) ?? [];
  return its !== undefined && its !== VERSION ? `is of Daypass ${its}, and this is ${VERSION}` : undefined;
}
