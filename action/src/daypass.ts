/** Runs the `daypass` binary. What it is asked for and what it answers is in docs/cli.md. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Environment, Workflow } from './workflow.ts';

/** What was granted. Nothing here is secret. */
export interface Grant {
  transaction_id: string;
  iam_role_arn: string;
  role_name: string;
  role_ttl_hours: number;
  expires_at: string;
  persona: string;
  account: string;
  account_id: string;
  email: string;
  branch: string;
}

/** AWS credentials, in the form of `credential_process`. */
export interface Keys {
  AccessKeyId: string;
  SecretAccessKey: string;
  SessionToken: string;
  Expiration: string;
}

/** Why there is no answer, in the CLI's words. */
export interface Refusal {
  error?: string;
  reason: string;
  remedy?: string;
  docs?: string;
  /** `denied` or `failed`; `unconfirmed` for a release that Daypass has, and whose end is not known yet. */
  status?: string;
}

/** The exit code of a denial. */
const DENIED = 77;
/** The exit code of wrong usage or configuration: nothing was sent. */
const USAGE = 2;

export class DaypassError extends Error {
  constructor(
    readonly refusal: Refusal,
    private readonly code: number,
  ) {
    super(refusal.reason);
  }

  /** Nothing was granted for certain, so there is nothing to release. */
  get nothingGranted(): boolean {
    return this.code === DENIED || this.code === USAGE;
  }

  /** Nobody knows what came of it: the CLI was ended before it had an answer. */
  get interrupted(): boolean {
    return this.code > 128;
  }

  get denied(): boolean {
    return this.code === DENIED;
  }
}

export class Daypass {
  constructor(
    private readonly workflow: Workflow,
    private readonly binary: string,
    private readonly environment: Environment,
  ) {}

  /** Asks for a role; `once` if nobody is going to renew its session, so that a role for longer is of no use. */
  async request(transaction: string, once: boolean): Promise<Grant> {
    const options = once ? ['--once'] : [];
    return (await this.run('request', ...options, '--transaction-id', transaction)) as Grant;
  }

  async credentials(transaction: string): Promise<Keys> {
    return (await this.run('credentials', '--transaction', transaction)) as Keys;
  }

  /**
   * Gives a role back, and returns how the transaction has ended. If the answer to its request is lost, the request may still
   * be on its way, and is given some seconds to arrive.
   */
  async release(transaction: string, lost: boolean): Promise<string> {
    const answer = await this.run('release', ...(lost ? ['--lost'] : []), transaction);
    return String((answer as { status?: unknown }).status);
  }

  /** Runs a command and returns the object that it writes to standard output, of which nothing is ever printed. */
  private async run(...command: string[]): Promise<object> {
    const child = spawn(this.binary, ['--output', 'json', ...command], {
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));

    // Progress is shown as it comes. The error object is the last that is written, and is shown in another form.
    const error: string[] = [];
    const progress = createInterface({ input: child.stderr });
    progress.on('line', (line) => {
      if (error.length > 0 || line.startsWith('{')) error.push(line);
      else this.workflow.info(line);
    });
    const printed = new Promise((resolve) => progress.once('close', resolve));

    // A runner that cancels sends the signal to this process only. The CLI has to learn it, and to have time to end well.
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    try {
      const code = await new Promise<number>((resolve, reject) => {
        child.once('error', (cause) => reject(new Error(`cannot run ${this.binary}: ${cause.message}`)));
        child.once('close', (status, signal) => {
          if (status === null) reject(new Error(`daypass was ended by ${signal}`));
          else resolve(status);
        });
      });
      await printed;
      if (code !== 0) throw new DaypassError(refusal(error.join('\n'), code), code);
      return answer(Buffer.concat(output).toString('utf8'));
    } finally {
      process.off('SIGINT', forward).off('SIGTERM', forward);
    }
  }
}

/** The object that the text is. The error of a parser would repeat a part of it, which can be a secret. */
function answer(text: string): object {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // as below
  }
  throw new Error(
    'daypass has succeeded and has not answered with a JSON object: check that it is the command `daypass`',
  );
}

function refusal(text: string, code: number): Refusal {
  try {
    const parsed = JSON.parse(text) as Partial<Refusal>;
    return { ...parsed, reason: String(parsed.reason) };
  } catch {
    return { reason: text || `daypass ended with exit code ${code}` };
  }
}
