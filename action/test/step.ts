/** Runs the bundles of the action as a runner does: with inputs, files and state. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { open, seal, type Saved } from '../src/state.ts';

export interface Call {
  argv: string[];
  env: Record<string, string>;
  pid: number;
  /** What its configuration files said, by the variables that name them. */
  files: Record<string, string | undefined>;
  /** The file that ran. */
  program: string;
}

/** What is different when the job is over. */
export interface Later {
  /** How the command answers now. */
  fake?: string;
  /** How the transaction ends. */
  status?: string;
  /** What `main` would have saved, had it come to another end. */
  saved?: Partial<Saved>;
  /** What later steps have put into the job's environment. */
  environment?: Record<string, string>;
}

const RUNTIME_TOKEN = 'what the runner gives to actions';

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
    mkdirSync(join(this.folder, 'home/.aws'), { recursive: true });
    copyFileSync(join(import.meta.dirname, 'fake-daypass.mjs'), join(this.folder, 'bin/daypass'));
    chmodSync(join(this.folder, 'bin/daypass'), 0o755);
  }

  main(onOutput?: (kill: (signal: NodeJS.Signals) => void) => void, node: string[] = []): Promise<number | null> {
    return this.run('main', {}, onOutput, node);
  }

  /** The post step, with the state of `main` and the variables that it has exported. */
  post({ fake, status, saved, environment }: Later = {}): Promise<number | null> {
    writeFileSync(join(this.folder, 'calls.answer'), JSON.stringify({ fake, status }));
    const state = this.file('GITHUB_STATE');
    if (saved) state.saved = seal({ ...this.saved, ...saved }, RUNTIME_TOKEN);
    const given = Object.entries(state).map(([name, value]) => [`STATE_${name}`, value]);
    return this.run('post', { ...this.file('GITHUB_ENV'), ...environment, ...Object.fromEntries(given) });
  }

  /** What `main` has saved for `post`. */
  get saved(): Saved {
    return open(this.file('GITHUB_STATE').saved ?? '', RUNTIME_TOKEN);
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
        HOME: join(this.folder, 'home'),
        ACTIONS_RUNTIME_TOKEN: RUNTIME_TOKEN,
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
