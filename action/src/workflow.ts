/**
 * What a step and the runner say to one another: inputs, commands on standard output, and the files that the runner names.
 *
 * https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands. What counts as a command:
 * https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
 */
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';

export type Environment = Record<string, string | undefined>;

type RunnerFile = 'GITHUB_ENV' | 'GITHUB_OUTPUT' | 'GITHUB_PATH' | 'GITHUB_STATE' | 'GITHUB_STEP_SUMMARY';

export class Workflow {
  constructor(
    readonly environment: Environment = process.env,
    private readonly print: (text: string) => void = (text) => void process.stdout.write(text),
  ) {}

  /** An input of the action; the empty string if it is not given. */
  input(name: string): string {
    return (this.environment[`INPUT_${name.toUpperCase()}`] ?? '').trim();
  }

  /** What `main` has saved for `post`; the empty string if it has not come that far. */
  state(name: string): string {
    return this.environment[`STATE_${name}`] ?? '';
  }

  saveState(name: string, value: string): void {
    this.set('GITHUB_STATE', name, value);
  }

  setOutput(name: string, value: string): void {
    this.set('GITHUB_OUTPUT', name, value);
  }

  /** Sets a variable for the steps that follow. */
  exportVariable(name: string, value: string): void {
    this.set('GITHUB_ENV', name, value);
  }

  addPath(folder: string): void {
    this.append('GITHUB_PATH', oneLine('GITHUB_PATH', folder));
  }

  addSummary(markdown: string): void {
    this.append('GITHUB_STEP_SUMMARY', markdown);
  }

  /** Keeps a value out of the log from here on. */
  mask(secret: string): void {
    this.command('add-mask', secret);
  }

  /** Prints text, whoever wrote it: the runner takes none of it for a command. */
  info(text: string): void {
    this.print(`${inert(text)}\n`);
  }

  warning(title: string, text: string): void {
    this.command('warning', visible(text), title);
  }

  error(title: string, text: string): void {
    this.command('error', visible(text), title);
  }

  private command(name: string, message: string, title?: string): void {
    const properties =
      title === undefined ? '' : ` title=${escaped(visible(title)).replaceAll(':', '%3A').replaceAll(',', '%2C')}`;
    this.print(`::${name}${properties}::${escaped(message)}\n`);
  }

  private set(file: RunnerFile, name: string, value: string): void {
    // The delimiter cannot be guessed, so no value can end it and set something else.
    const delimiter = randomUUID();
    this.append(file, `${name}<<${delimiter}\n${oneLine(name, value)}\n${delimiter}`);
  }

  private append(file: RunnerFile, text: string): void {
    const path = this.environment[file];
    if (!path) throw new Error(`${file} is not set: this runs only as a step of GitHub Actions`);
    appendFileSync(path, `${text}\n`);
  }
}

/**
 * The text with every character that cannot be seen, except line feeds, written as its code: nothing moves a terminal's
 * cursor, and nothing is hidden or shown in another order.
 */
export function visible(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(/[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/gu, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);
}

/** The text with a backslash in whatever is a command to the runner: `::` at the begin of a line or after blanks, `##[` anywhere. */
function inert(text: string): string {
  return visible(text)
    .replace(/^(\s*):(?=:)/gm, '$1\\:')
    .replaceAll('##[', '##\\[');
}

/** The value, if it is one line without control characters. Later steps put outputs and variables into commands and files. */
function oneLine(name: string, value: string): string {
  if (/\p{Cc}/u.test(value)) throw new Error(`the value of ${name} has a line feed or another control character`);
  return value;
}

function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
