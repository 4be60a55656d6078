/**
 * Finds the `daypass` binary: the one that is named, the one on the PATH, or the one of a release. What runs is a copy in a folder
 * of this job's own, so that what was looked at is what runs; `post` looks at it again.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folder } from './settings.ts';
import type { Workflow } from './workflow.ts';

/** A program, and the SHA-256 (hexadecimal) of the file when it was found. */
export interface Binary {
  file: string;
  sha256: string;
}

/** The platforms that releases are built for, by Node.js's names for them. */
const TARGETS: Record<string, string> = {
  'linux-x64': 'x86_64-unknown-linux-musl',
  'linux-arm64': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
};

/** Version of this action, which is that of the release it came with; build.mjs writes it here. */
const OWN_VERSION = process.env.DAYPASS_ACTION_VERSION ?? '';

/** What a program may have; that of a release has a tenth of it. */
const MOST_BYTES = 200_000_000;

/** Writes what is at the address to the file. */
export type Download = (url: string, file: string) => void;

/**
 * curl, and not fetch: it honours the variables for proxy and certificates that a runner of one's own is set up with. `--disable`:
 * no ~/.curlrc, which a job before may have left.
 */
const withCurl: Download = (url, file) => {
  const options = [
    '--disable',
    '--fail',
    '--silent',
    '--show-error',
    '--location',
    '--proto',
    '=https',
    '--retry',
    '3',
  ];
  execFileSync('curl', [...options, '--output', file, url], { stdio: ['ignore', 'ignore', 'inherit'] });
};

/** What the runner is like, and where this program lies; tests have others. */
const HERE = {
  platform: `${process.platform}-${process.arch}`,
  file: fileURLToPath(import.meta.url),
  download: withCurl,
};

export function findBinary(workflow: Workflow, here: typeof HERE = HERE): Binary {
  const path = workflow.input('daypass-path');
  if (path) {
    const program = resolve(workflow.environment.GITHUB_WORKSPACE ?? '.', path);
    if (!isExecutable(program)) throw new Error(`daypass-path is \`${path}\`: not an executable file`);
    return chosen(workflow, program, 'named by daypass-path');
  }
  const wanted = workflow.input('daypass-version').replace(/^v/, '');
  const installed = wanted ? undefined : onPath(workflow.environment.PATH ?? '');
  if (installed) return chosen(workflow, installed, 'found on the PATH; daypass-version takes a release instead');
  const version = wanted || OWN_VERSION;
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
    throw new Error(`daypass-version is \`${version}\`: give a release, as in \`1.2.3\``);
  }
  const program = ofRelease(workflow, version, here);
  const file = join(privateFolder(workflow), 'daypass');
  writeFileSync(file, program, { mode: 0o500 });
  workflow.addPath(dirname(file));
  return { file, sha256: digest(program) };
}

/** Copies the binary into a folder, and returns the copy. Throws, before anybody runs it, if it is not as it was found. */
export function copyOf({ file, sha256: expected }: Binary, into: string): string {
  const copy = join(into, 'daypass');
  try {
    copyProgram(file, copy);
  } catch (error) {
    throw new Error(`${file}, the program that requested the role, cannot be read`, { cause: error });
  }
  const found = sha256(copy);
  if (found !== expected) {
    throw new Error(
      `${file} is not the program that requested the role: its SHA-256 is ${found}, not ${expected}. It was not run`,
    );
  }
  return copy;
}

/** A program that the owner of the job or of the runner vouches for. The log says which it is. */
function chosen(workflow: Workflow, program: string, how: string): Binary {
  const file = join(privateFolder(workflow), 'daypass');
  copyProgram(program, file);
  const binary = { file, sha256: sha256(file) };
  workflow.info(`running ${program} (${how}), SHA-256 ${binary.sha256}`);
  return binary;
}

function copyProgram(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  chmodSync(to, 0o500);
}

function privateFolder(workflow: Workflow): string {
  return mkdtempSync(join(folder(workflow), 'command-'));
}

function sha256(file: string): string {
  return digest(readFileSync(file));
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function onPath(path: string): string | undefined {
  return path
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, 'daypass'))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * The binary of a release of the repository that the action is from. Its archive is kept where runners keep tools, and believed
 * no more than one that was just downloaded: on a runner that is used again, the job before chooses what lies there.
 */
function ofRelease(workflow: Workflow, version: string, { platform, file, download }: typeof HERE): Buffer {
  const target = TARGETS[platform];
  if (!target) {
    const known = Object.keys(TARGETS).join(', ');
    throw new Error(`there is no release for ${platform}, only for ${known}: build it and give daypass-path`);
  }
  const { GITHUB_SERVER_URL, RUNNER_TOOL_CACHE } = workflow.environment;
  const repository = ownRepository(workflow, file);
  if (!repository || !RUNNER_TOOL_CACHE) {
    throw new Error('this runs only as a step of GitHub Actions');
  }
  const release = `${GITHUB_SERVER_URL ?? 'https://github.com'}/${repository}/releases/download/v${version}`;
  const scratch = mkdtempSync(join(folder(workflow), 'download-'));
  const fetched = (name: string): Buffer => {
    try {
      download(`${release}/${name}`, join(scratch, name));
    } catch {
      throw new Error(
        `cannot download release v${version} of ${repository}: if it exists and is private, install the binary on ` +
          'the runner, and give daypass-path',
      );
    }
    return readFileSync(join(scratch, name));
  };
  try {
    const name = `daypass-${version}-${target}`;
    const sum = listed(fetched('SHA256SUMS').toString('utf8'), `${name}.tar.gz`);
    const cached = join(RUNNER_TOOL_CACHE, 'daypass', version, `${name}.tar.gz`);
    let archive = contents(cached);
    if (!archive || digest(archive) !== sum) {
      workflow.info(`downloading ${release}/${name}.tar.gz`);
      archive = fetched(`${name}.tar.gz`);
      if (digest(archive) !== sum) {
        throw new Error(
          `${name}.tar.gz does not match the release: its SHA-256 is ${digest(archive)}, not ${sum}. Nothing was run.`,
        );
      }
      mkdirSync(dirname(cached), { recursive: true });
      // In one step, so that no other job on this runner sees half of it.
      writeFileSync(`${cached}.${process.pid}`, archive);
      renameSync(`${cached}.${process.pid}`, cached);
    }
    return unpacked(archive, `${name}/daypass`);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The bytes that were verified are those that tar gets. */
function unpacked(archive: Buffer, member: string): Buffer {
  const argv = ['--extract', '--gzip', '--to-stdout', '--file', '-', member];
  const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
  return execFileSync('tar', argv, { input: archive, maxBuffer: MOST_BYTES, stdio });
}

function contents(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/**
 * The repository that this action is from. The runner says so, but not for `uses: $/` or `./`; then it is where the runner
 * has put it, or the repository of the workflow.
 */
function ownRepository(workflow: Workflow, file: string): string | undefined {
  const { GITHUB_ACTION_REPOSITORY, GITHUB_REPOSITORY } = workflow.environment;
  return GITHUB_ACTION_REPOSITORY || /\/_actions\/([^/]+\/[^/]+)\//.exec(file)?.[1] || GITHUB_REPOSITORY;
}

/** The checksum that SHA256SUMS has for a file. */
function listed(sums: string, name: string): string {
  const line = sums
    .split('\n')
    .map((line) => line.split(/\s+\*?/))
    .find(([, file]) => file === name);
  if (!line?.[0]) throw new Error(`SHA256SUMS of the release does not name ${name}`);
  return line[0];
}
