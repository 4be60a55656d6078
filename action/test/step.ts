/** Runs the bundles of the action as a runner does: with inputs, files and state. */
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, onTestFinished } from 'vitest';

export interface Call {
  argv: string[];
  env: Record<string, string>;
  pid: number;
}

/** One job with one step of the action. */
export class Job {
  readonly folder = mkdtempSync(join(tmpdir(), 'daypass-action-'));
  /** What was printed. */
  log = '';

  constructor(
    private readonly inputs: Record<string, string>,
    private readonly extra: Record<string, string> = {},
  ) {
    onTestFinished(() => rmSync(this.folder, { recursive: true }));
    mkdirSync(join(this.folder, 'bin'));
    mkdirSync(join(this.folder, 'temp'));
    copyFileSync(join(import.meta.dirname, 'fake-daypass.mjs'), join(this.folder, 'bin/daypass'));
    chmodSync(join(this.folder, 'bin/daypass'), 0o755);
  }

  main(onOutput?: (kill: (signal: NodeJS.Signals) => void) => void, node: string[] = []): Promise<number | null> {
    return this.run('main', {}, onOutput, node);
  }

  /** The post step, with the state of `main` and the variables that it has exported. */
  post(extra: Record<string, string> = {}): Promise<number | null> {
    const state = Object.entries(this.file('GITHUB_STATE')).map(([name, value]) => [`STATE_${name}`, value]);
    return this.run('post', { ...this.file('GITHUB_ENV'), ...Object.fromEntries(state), ...extra });
  }

  private run(
    stage: 'main' | 'post',
    environment: Record<string, string>,
    onOutput?: (kill: (signal: NodeJS.Signals) => void) => void,
    node: string[] = [],
  ): Promise<number | null> {
    const inputs = Object.entries(this.inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
    const files = ['GITHUB_ENV', 'GITHUB_OUTPUT', 'GITHUB_PATH', 'GITHUB_STATE', 'GITHUB_STEP_SUMMARY'];
    const child = spawn(process.execPath, [...node, join(inject('bundles'), `${stage}.mjs`)], {
      env: {
        PATH: `${join(this.folder, 'bin')}:${process.env.PATH}`,
        RUNNER_TEMP: join(this.folder, 'temp'),
        FAKE_LOG: join(this.folder, 'calls'),
        ...Object.fromEntries(files.map((name) => [name, join(this.folder, name)])),
        ...this.extra,
        ...Object.fromEntries(inputs),
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log += text;
        onOutput?.((signal) => child.kill(signal));
      });
    }
    return new Promise((resolve) => child.once('close', resolve));
  }

  /** How the CLI was called. */
  get calls(): Call[] {
    const path = join(this.folder, 'calls');
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Call);
  }

  /** The commands that the CLI was given, in order. */
  get commands(): string[] {
    return this.calls.map(({ argv }) => argv[2] ?? '');
  }

  text(name: string): string {
    const path = join(this.folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** Names and values of one of the runner's files. */
  file(name: string): Record<string, string> {
    const entries = this.text(name).matchAll(/^(\w[\w-]*)<<(\S+)\n([\s\S]*?)\n\2$/gm);
    return Object.fromEntries([...entries].map(([, key, , value]) => [key, value]));
  }
}
