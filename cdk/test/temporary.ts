import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Everything that the tests synthesise lies in one directory, which goes when they are done. */
export default function setup(): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'daypass-cdk-'));
  process.env.TMPDIR = directory;
  return () => rmSync(directory, { recursive: true });
}
