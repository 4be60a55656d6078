/** The judgement of personas.json before anything is synthesised: that of the functions' own parser, and of the checks beside it. */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Config } from './config.ts';
import { VERSION } from './version.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const INSTALL = 'install it (docs/install.md), build it with `make build-cli`, or say in DAYPASS_COMMAND where it is';

/** personas.json must not be deployed, or cannot be judged; the message says why, and what to do. */
export class PersonasError extends Error {}

/**
 * Has `daypass personas check` judge the configured personas.json, together with the configuration.
 *
 * A function reads the file when it starts. With one wrong word in it none would start, and no account get a role.
 *
 * @param file the path of the configuration
 * @param candidates where the command may be, the first first; a path, or a name that PATH is searched for
 * @throws PersonasError when the check finds an error, or there is no command of this version to ask
 */
export function checkPersonas(config: Config, file: string, candidates: readonly string[] = commands()): void {
  const command = candidates.find((candidate) => versionOf(candidate) !== undefined);
  if (command === undefined) {
    const named = process.env.DAYPASS_COMMAND ? ` at ${process.env.DAYPASS_COMMAND} (DAYPASS_COMMAND)` : '';
    throw new PersonasError(
      `the command \`daypass\`, which checks ${config.personas_file}, is not there${named}: ${INSTALL}`,
    );
  }
  const [its, ours] = [versionOf(command), VERSION];
  if (its !== ours) {
    throw new PersonasError(`${command} is version ${its}, and this is Daypass ${ours}: ${INSTALL}`);
  }
  const found = spawnSync(command, ['personas', 'check', config.personas_file, '--config', file], { encoding: 'utf8' });
  if (found.status === 0) return;
  const why = [found.error?.message, found.stdout, found.stderr].filter(Boolean).join('\n').trim();
  throw new PersonasError(`${config.personas_file} cannot be deployed:\n${why}`);
}

/** The command that is named, else the one that was built last here, else the one that is installed. */
function commands(): string[] {
  if (process.env.DAYPASS_COMMAND) return [process.env.DAYPASS_COMMAND];
  const built = ['release', 'debug'].map((profile) => `${REPOSITORY}/target/${profile}/daypass`);
  const when = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return [...built.sort((a, b) => when(b) - when(a)), 'daypass'];
}

function versionOf(command: string): string | undefined {
  const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
  const [, found] = /^daypass (\S+)$/.exec(stdout?.trim() ?? '') ?? [];
  return status === 0 ? found : undefined;
}
