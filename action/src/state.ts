/**
 * What `main` saves for `post`: all that the release is made with.
 *
 * The runner keeps it in its memory and gives it to this step's `post` alone, but it travels through a file, and with debug
 * logging into the log. It holds the environment of the job, in which there are secrets. So it is sealed with a key that is made
 * of ACTIONS_RUNTIME_TOKEN: the runner gives that token to every action, the same to `main` and `post`, whatever GITHUB_ENV says,
 * and it is in no file (https://github.com/actions/runner/blob/main/src/Runner.Worker/Handlers/NodeScriptActionHandler.cs).
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Binary } from './binary.ts';
import type { Workflow } from './workflow.ts';

export interface Saved {
  transaction: string;
  /** How far `main` has come. `requested` means that nobody has seen an answer. */
  phase: 'requested' | 'refused' | 'failed' | 'granted';
  /** When the role ends by itself (RFC 3339), if it was granted. */
  expiresAt?: string;
  binary: Binary;
  /** The environment in which the request was made. */
  environment: Record<string, string>;
  /** Contents of the configuration files at that time, by the variables that name them. */
  files: Record<string, string>;
}

const NAME = 'saved';
const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Linux takes no variable of more than 128 KiB, and the runner hands the state on as one. */
const MOST_CHARACTERS = 120_000;

/** Saves it, in the place of what was saved before. Throws if it is too large, or if there is no key. */
export function save(workflow: Workflow, saved: Saved): void {
  const sealed = seal(saved, token(workflow));
  if (sealed.length > MOST_CHARACTERS) {
    throw new Error(
      `the environment of this step is too large to be saved for the release: ${sealed.length} characters, compressed, of ` +
        `${MOST_CHARACTERS}. Set large variables only in the steps that need them`,
    );
  }
  workflow.saveState(NAME, sealed);
}

/** What was saved last; nothing if `main` has not come that far. Throws if it is not what `main` has saved. */
export function load(workflow: Workflow): Saved | undefined {
  const sealed = workflow.state(NAME);
  if (!sealed) return undefined;
  try {
    return open(sealed, token(workflow));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the state of this step is not what it has saved (${why})`);
  }
}

function token(workflow: Workflow): string {
  const value = workflow.environment.ACTIONS_RUNTIME_TOKEN;
  if (!value) throw new Error('ACTIONS_RUNTIME_TOKEN is not set: the runner of GitHub gives it to every action');
  return value;
}

export function seal(saved: Saved, secret: string): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key(secret), iv);
  const text = [cipher.update(gzipSync(JSON.stringify(saved))), cipher.final()];
  return Buffer.concat([iv, cipher.getAuthTag(), ...text]).toString('base64');
}

export function open(sealed: string, secret: string): Saved {
  const bytes = Buffer.from(sealed, 'base64');
  const [iv, text] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES + TAG_BYTES)];
  const decipher = createDecipheriv(CIPHER, key(secret), iv, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  const opened = Buffer.concat([decipher.update(text), decipher.final()]);
  return JSON.parse(gunzipSync(opened).toString('utf8')) as Saved;
}

function key(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'state of the Daypass action', 32));
}
