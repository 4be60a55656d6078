/** Finds the `daypass` binary: the one that is named, the one on the PATH, or the one of a release. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Workflow } from './workflow.ts';

/** The platforms that releases are built for, by Node.js's names for them. */
const TARGETS: Record<string, string> = {
  'linux-x64': 'x86_64-unknown-linux-musl',
  'linux-arm64': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
};

/** Version of this action, which is that of the release it came with; build.mjs writes it here. */
const OWN_VERSION = process.env.DAYPASS_ACTION_VERSION ?? '';

/** Writes what is at the address to the file. */
export type Download = (url: string, file: string) => void;

/** curl, and not fetch: it honours the proxy and the certificates that a runner of one's own is set up with. */
const withCurl: Download = (url, file) => {
  const options = ['--fail', '--silent', '--show-error', '--location', '--proto', '=https', '--retry', '3'];
  execFileSync('curl', [...options, '--output', file, url], { stdio: ['ignore', 'ignore', 'inherit'] });
};

/** What the runner is like, and where this program lies; tests have others. */
const HERE = {
  platform: `${process.platform}-${process.arch}`,
  file: fileURLToPath(import.meta.url),
  download: withCurl,
};

export function findBinary(workflow: Workflow, here: typeof HERE = HERE): string {
  const path = workflow.input('daypass-path');
  if (path) {
    const binary = resolve(workflow.environment.GITHUB_WORKSPACE ?? '.', path);
    if (!isExecutable(binary)) throw new Error(`daypass-path is \`${path}\`: there is no program`);
    return binary;
  }
  const wanted = workflow.input('daypass-version').replace(/^v/, '');
  const installed = wanted ? undefined : onPath(workflow.environment.PATH ?? '');
  if (installed) return installed;
  const version = wanted || OWN_VERSION;
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
    throw new Error(`daypass-version is \`${version}\`: give a release, as in \`1.2.3\``);
  }
  const binary = ofRelease(workflow, version, here);
  workflow.addPath(dirname(binary));
  return binary;
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

/** The binary of a release of the repository that the action is from, kept where runners keep tools. */
function ofRelease(workflow: Workflow, version: string, { platform, file, download }: typeof HERE): string {
  const target = TARGETS[platform];
  if (!target) {
    const known = Object.keys(TARGETS).join(', ');
    throw new Error(`there is no release for ${platform}, only for ${known}: build it and give daypass-path`);
  }
  const { GITHUB_SERVER_URL, RUNNER_TOOL_CACHE, RUNNER_TEMP } = workflow.environment;
  const repository = ownRepository(workflow, file);
  if (!repository || !RUNNER_TOOL_CACHE || !RUNNER_TEMP) {
    throw new Error('this runs only as a step of GitHub Actions');
  }
  const cached = join(RUNNER_TOOL_CACHE, 'daypass', version, target);
  if (isExecutable(join(cached, 'daypass'))) return join(cached, 'daypass');

  const name = `daypass-${version}-${target}`;
  const release = `${GITHUB_SERVER_URL ?? 'https://github.com'}/${repository}/releases/download/v${version}`;
  const folder = mkdtempSync(join(RUNNER_TEMP, 'daypass-download-'));
  try {
    workflow.info(`downloading ${release}/${name}.tar.gz`);
    const archive = join(folder, `${name}.tar.gz`);
    const sums = join(folder, 'SHA256SUMS');
    try {
      download(`${release}/SHA256SUMS`, sums);
      download(`${release}/${name}.tar.gz`, archive);
    } catch {
      throw new Error(
        `cannot download release v${version} of ${repository}: if it is there and is not public, have the binary on ` +
          'the runner, and give daypass-path',
      );
    }
    verify(archive, `${name}.tar.gz`, readFileSync(sums, 'utf8'));
    execFileSync('tar', ['--extract', '--gzip', '--file', archive, '--directory', folder], { stdio: 'inherit' });
    mkdirSync(dirname(cached), { recursive: true });
    cpSync(join(folder, name), `${cached}.${process.pid}`, { recursive: true });
    // In one step, so that no other job on this runner sees half of it. One that was first may have put the same there.
    rmSync(cached, { recursive: true, force: true });
    renameSync(`${cached}.${process.pid}`, cached);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return join(cached, 'daypass');
}

/**
 * The repository that this action is from. The runner says so, but not for `uses: $/` or `./`; then it is where the runner
 * has put it, or the repository of the workflow.
 */
function ownRepository(workflow: Workflow, file: string): string | undefined {
  const { GITHUB_ACTION_REPOSITORY, GITHUB_REPOSITORY } = workflow.environment;
  return GITHUB_ACTION_REPOSITORY || /\/_actions\/([^/]+\/[^/]+)\//.exec(file)?.[1] || GITHUB_REPOSITORY;
}

function verify(archive: string, name: string, sums: string): void {
  const sum = createHash('sha256').update(readFileSync(archive)).digest('hex');
  const listed = sums
    .split('\n')
    .map((line) => line.split(/\s+\*?/))
    .find(([, file]) => file === name);
  if (!listed) throw new Error(`SHA256SUMS of the release does not name ${name}`);
  if (listed[0] !== sum) {
    throw new Error(`${name} is not what the release says: its SHA-256 is ${sum}, not ${listed[0]}. Nothing was run.`);
  }
}
