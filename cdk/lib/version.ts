import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The version of this checkout: that of the Rust workspace, which `.ci/version` compares with the other places. */
export const VERSION = versionOf(readFileSync(fileURLToPath(new URL('../../Cargo.toml', import.meta.url)), 'utf8'));

/**
 * Finds `version` in the section `[workspace.package]` of a Cargo.toml.
 *
 * @throws Error when it is not there
 */
export function versionOf(manifest: string): string {
  const [, section] = manifest.match(/^\[workspace\.package\]\n((?:(?!\[).*\n?)*)/m) ?? [];
  const [, version] = section?.match(/^version = "(\d+\.\d+\.\d+[\w.+-]*)"$/m) ?? [];
  if (version === undefined) throw new Error('Cargo.toml has no version in [workspace.package]');
  return version;
}
