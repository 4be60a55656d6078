import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    bundles: string;
  }
}

/** The tests run what GitHub runs: bundles, made of the sources as they are. */
export default function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'daypass-action-bundles-'));
  execFileSync(process.execPath, ['build.mjs', folder], { stdio: 'inherit' });
  project.provide('bundles', folder);
  return () => rmSync(folder, { recursive: true });
}
