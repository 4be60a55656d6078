import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The version of this checkout: that of the workspace's crates. */
export function version(): string {
  const manifest = readFileSync(fileURLToPath(new URL('../../Cargo.toml', import.meta.url)), 'utf8');
  const [, found] = /^\[workspace\.package\]$[^[]*?^version = "([^"]*)"$/m.exec(manifest) ?? [];
  if (found === undefined) throw new Error('Cargo.toml has no version');
  return found;
}
