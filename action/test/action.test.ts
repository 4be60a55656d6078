import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { seal, type Saved } from '../src/state.ts';
import { Job } from './step.ts';

const SECRETS = ['ASIAGRANTED', 'granted-secret', 'granted-token'];
const INPUTS = { account: 'payments-dev', ttl: '30m', 'invoker-role-arn': 'arn:aws:iam::111111111111:role/invoker' };
const BEFORE = {
  AWS_ACCESS_KEY_ID: 'ASIABEFORE',
  AWS_SECRET_ACCESS_KEY: 'before-secret',
  AWS_SESSION_TOKEN: 'before-token',
};

test('a grant gives credentials, outputs and a summary to the job', async () => {
  const job = new Job({ ...INPUTS, 'aws-region': 'eu-west-1' });
  expect(await job.main()).toBe(0);

  const id = job.saved.transaction;
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  expect(job.calls.map(({ argv }) => argv)).toEqual([
    ['--output', 'json', 'request', '--once', '--transaction-id', id],
    ['--output', 'json', 'credentials', '--transaction', id],
  ]);
  expect(job.file('GITHUB_ENV')).toEqual({
    AWS_ACCESS_KEY_ID: 'ASIAGRANTED',
    AWS_SECRET_ACCESS_KEY: 'granted-secret',
    AWS_SESSION_TOKEN: 'granted-token',
    AWS_CREDENTIAL_EXPIRATION: '2026-01-01T01:00:00Z',
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
    DAYPASS_TRANSACTION_ID: id,
    DAYPASS_STATE_DIR: join(job.folder, 'temp/daypass/sessions'),
  });
  expect(job.file('GITHUB_OUTPUT')).toEqual({
    'transaction-id': id,
    'role-arn': `arn:aws:iam::222222222222:role/daypass/daypass-${id}`,
    'role-name': `daypass-${id}`,
    'expires-at': '2026-01-01T00:30:00Z',
    persona: 'Product_Admin',
    'aws-account-id': '222222222222',
  });
  const summary = job.text('GITHUB_STEP_SUMMARY');
  expect(summary).toContain('### Daypass: role granted');
  expect(summary).toContain('| Person | alex&#64;example.com |');
  expect(summary).toContain('| Ends by itself | 2026-01-01T00:30:00Z (30 min after the request) |');
});

test('settings reach the CLI as variables, and inputs do not', async () => {
  const job = new Job({ ...INPUTS, branch: '' }, { DAYPASS_BRANCH: 'of the job' });
  await job.main();
  const environment = job.calls[0]?.env ?? {};
  expect(environment).toMatchObject({
    DAYPASS_ACCOUNT: 'payments-dev',
    DAYPASS_TTL: '30m',
    DAYPASS_INVOKER_ROLE_ARN: 'arn:aws:iam::111111111111:role/invoker',
    DAYPASS_BRANCH: 'of the job',
    DAYPASS_STATE_DIR: join(job.folder, 'temp/daypass/sessions'),
  });
  expect(Object.keys(environment).filter((name) => name.startsWith('INPUT_'))).toEqual([]);
});

test('every input of action.yml that is a setting reaches the CLI', async () => {
  const action = readFileSync(join(import.meta.dirname, '../../action.yml'), 'utf8');
  const section = /^inputs:\n([\s\S]*?)\n\n/m.exec(action)?.[1] ?? '';
  const names = [...section.matchAll(/^ {2}([\w-]+):$/gm)].map(([, name]) => name ?? '');
  const notSettings = ['aws-region', 'credentials', 'daypass-path', 'daypass-version'];
  const settings = names.filter((name) => !notSettings.includes(name));
  expect(settings.length).toBe(names.length - notSettings.length);

  const job = new Job(Object.fromEntries(settings.map((name) => [name, `value of ${name}`])));
  await job.main();
  const values = Object.values(job.calls[0]?.env ?? {});
  expect(settings.filter((name) => !values.includes(`value of ${name}`))).toEqual([]);
});

test('secrets are masked before anything else can have them, and are printed nowhere else', async () => {
  const job = new Job(INPUTS, BEFORE);
  await job.main();
  await job.post();
  const secrets = [...SECRETS, ...Object.values(BEFORE)];
  const masks = secrets.map((secret) => `::add-mask::${secret}`);
  const lines = job.log.split('\n');
  expect(lines).toEqual(expect.arrayContaining(masks));
  const others = lines.filter((line) => !masks.includes(line)).join('\n') + job.text('GITHUB_STEP_SUMMARY');
  expect(secrets.filter((secret) => others.includes(secret))).toEqual([]);
  expect(job.text('GITHUB_OUTPUT')).not.toMatch(/secret|token/);
  const state = job.text('GITHUB_STATE');
  const readable = state + state.split(/\s/).map((word) => Buffer.from(word, 'base64').toString('latin1'));
  expect(secrets.filter((secret) => readable.includes(secret))).toEqual([]);
});

test('the post step releases with the credentials that the job had before', async () => {
  const job = new Job(INPUTS, { ...BEFORE, AWS_PROFILE: 'ours' });
  await job.main();
  expect(await job.post()).toBe(0);
  const release = job.calls.at(-1);
  expect(release?.argv).toEqual(['--output', 'json', 'release', job.saved.transaction]);
  expect(release?.env).toMatchObject({ ...BEFORE, AWS_PROFILE: 'ours', DAYPASS_ACCOUNT: 'payments-dev' });
  expect(release?.env).not.toHaveProperty('AWS_CREDENTIAL_EXPIRATION');
  expect(job.log).toContain('was given back');
  expect(job.text('GITHUB_STEP_SUMMARY')).toContain('was given back');
});

test.each([
  ['deprovisioned', 'was given back'],
  ['failed', 'has ended as failed: there is no role to give back'],
  ['denied', 'has ended as denied: there is no role to give back'],
])('a release that ends as %s is told as it is', async (status, says) => {
  const job = new Job(INPUTS);
  await job.main();
  expect(await job.post({ status })).toBe(0);
  expect(job.log).toContain(says);
  expect(job.log.includes('was given back')).toBe(status === 'deprovisioned');
});

test('a denial fails the step with reason, remedy and link, and there is nothing to release', async () => {
  const job = new Job(INPUTS, { FAKE: 'denied' });
  expect(await job.main()).toBe(1);
  expect(job.log).toContain('requesting a role in payments-dev');
  expect(job.log).toContain(
    '::error title=Daypass.NotAMember::`mallory@example.com` is not in the group <b>|%0A' +
      'What to do: ask to be added%0AMore: https://example.com/errors.md#daypassnotamember',
  );
  const summary = job.text('GITHUB_STEP_SUMMARY');
  expect(summary).toContain('### Daypass: access denied');
  expect(summary).toContain('| Reason | &#96;mallory&#64;example.com&#96; is not in the group &#60;b&#62;&#124; |');
  expect(summary).toContain('| More | <https://example.com/errors.md#daypassnotamember> |');
  expect(job.text('GITHUB_ENV')).toBe('');
  await job.post();
  expect(job.commands).toEqual(['request']);
});

test('a request that failed may have been granted, so it is released', async () => {
  const job = new Job(INPUTS, { FAKE: 'broken' });
  expect(await job.main()).toBe(1);
  expect(job.text('GITHUB_STEP_SUMMARY')).toContain('### Daypass: no role');
  await job.post({ fake: '' });
  expect(job.commands).toEqual(['request', 'release']);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s during the request reaches the CLI, and the post step releases',
  async (signal) => {
    const job = new Job(INPUTS, { FAKE: 'slow' });
    let sent = false;
    const code = await job.main((kill) => {
      if (sent || !job.log.includes('asking')) return;
      sent = true;
      kill(signal);
    });
    expect(code).toBe(1);
    expect(job.log).toContain(`got ${signal}`);
    await job.post({ fake: '' });
    expect(job.calls.at(-1)?.argv.slice(2, 4)).toEqual(['release', '--lost']);
  },
);

test('a step that was killed during the request has left what the post step needs', async () => {
  const job = new Job(INPUTS, { FAKE: 'slow' });
  await job.main((kill) => {
    if (job.log.includes('asking')) kill('SIGKILL');
  });
  const [request] = job.calls;
  process.kill(request?.pid ?? 0, 'SIGKILL');
  await job.post({ fake: '' });
  expect(job.calls.at(-1)?.argv.at(-1)).toBe(request?.argv.at(-1));
  expect(job.calls.at(-1)?.argv.slice(2, 4)).toEqual(['release', '--lost']);
});

test('a request that has never arrived leaves nothing to give back, and a word about it', async () => {
  const interrupted = { fake: 'unknown', saved: { phase: 'requested' } } as const;
  const job = new Job(INPUTS);
  await job.main();
  expect(await job.post(interrupted)).toBe(0);
  expect(job.log).toContain('::warning title=Daypass::Daypass does not know transaction ');
  expect(job.log).not.toContain('was given back');

  const refused = new Job(INPUTS, { FAKE: 'broken' });
  expect(await refused.main()).toBe(1);
  expect(await refused.post({ fake: 'unknown' })).toBe(0);
  expect(refused.log).toContain('there is no role to give back');
  expect(refused.log).not.toContain('::warning');
});

const ENDS = 'Its lease ends it by itself, at 2026-01-01T00:30:00Z.';

test.each([
  ['broken', 'Daypass', 'no answer%0AWhat to do: try again'],
  [
    'refused',
    'Daypass.TransactionMismatch',
    'it is another one%0AWhat to do: look at the id%0AMore: https://example.com/errors.md#daypasstransactionmismatch',
  ],
  ['unknown', 'Daypass.TransactionNotFound', 'there is no transaction'],
])('a release that is %s fails the job, and tells when the role ends by itself', async (fake, title, says) => {
  const job = new Job(INPUTS);
  await job.main();
  expect(await job.post({ fake })).toBe(1);
  expect(job.log).toContain(`::error title=${title}::The role could not be given back:%0A${says}%0A${ENDS}`);
  expect(job.log).not.toContain('was given back');
  const summary = job.text('GITHUB_STEP_SUMMARY');
  expect(summary).toContain('### Daypass: role not given back');
  expect(summary).not.toContain('was given back');
});

test('a release that is not confirmed is a warning, and nobody is told that the role is gone', async () => {
  const job = new Job(INPUTS);
  await job.main();
  expect(await job.post({ fake: 'unconfirmed' })).toBe(0);
  const says = 'it keeps trying%0AWhat to do: wait for it';
  expect(job.log).toContain(`::warning title=Daypass::It is unknown whether the role is gone:%0A${says}%0A${ENDS}`);
  expect(job.text('GITHUB_STEP_SUMMARY')).toContain('### Daypass: release not confirmed');
  // A command of a version before says that it has started something.
  for (const status of ['already released', 'deprovisioning']) {
    expect(await job.post({ status })).toBe(0);
    expect(job.log).toContain(`the command answered \`${status}\`, which does not prove that the role is gone`);
  }
  expect(job.log).not.toContain('was given back');
});

test('a command that is gone after the job cannot give anything back, and that fails the job', async () => {
  const job = new Job(INPUTS);
  await job.main();
  expect(await job.post({ saved: { binary: { ...job.saved.binary, file: '/nowhere/daypass' } } })).toBe(1);
  expect(job.log).toContain(
    '::error title=Daypass::The role could not be given back:%0A/nowhere/daypass, the program that requested the role, ' +
      `cannot be read%0AWhat to do: run \`daypass release ${job.saved.transaction}\` on a machine`,
  );
});

test('what the CLI prints is never taken for a command of the workflow', async () => {
  const job = new Job(INPUTS, { FAKE: 'commanding' });
  expect(await job.main()).toBe(1);
  expect(job.log).toContain('\\::add-path::/evil\n \u2003 \\::set-output name=x::y\n');
  expect(job.log).not.toMatch(/^\s*::(add-path|set-output)/m);
  expect(job.log).toContain(
    'now ##\\[add-path]/evil, \\u{34f}::add-path::/evil and #\\u{ad}#[add-path]/evil \\u{1b}[2J\\u{202e}\n',
  );
  expect(job.log).toContain('no JSON');
  expect(job.log).toContain('::error title=Daypass::daypass ended with exit code 70');
});

test('the release has the environment and the files of the request, whatever later steps have set', async () => {
  const job = new Job(
    { ...INPUTS, 'deprovision-arn': 'arn:ours' },
    { ...BEFORE, HTTPS_PROXY: 'http://proxy.example.com' },
  );
  const home = join(job.folder, 'home');
  const places = ['.aws/config', '.aws/credentials', '.config/daypass/config.toml'].map((path) => join(home, path));
  mkdirSync(join(home, '.config/daypass'), { recursive: true });
  for (const place of places.slice(0, 2)) writeFileSync(place, `before, in ${place}`);
  await job.main();
  const [request] = job.calls;

  const evil = 'http://127.0.0.1:1';
  for (const place of places) writeFileSync(place, `endpoint_url = ${evil}`);
  const environment = {
    ...Object.fromEntries(Object.keys(request?.env ?? {}).map((name) => [name, evil])),
    'INPUT_DEPROVISION-ARN': 'arn:evil',
    AWS_ENDPOINT_URL_SFN: evil,
    DAYPASS_PROVISION_ARN: 'arn:evil',
    AWS_CA_BUNDLE: '/evil.pem',
    ALL_PROXY: evil,
    XDG_CONFIG_HOME: '/evil',
    STATE_transaction: 'another',
    STATE_phase: 'refused',
  };
  // The runner's own, which it sets anew for every step, and what this test needs to see something.
  const { PATH, GITHUB_STEP_SUMMARY, ACTIONS_RUNTIME_TOKEN } = request?.env ?? {};
  const kept = { PATH, GITHUB_STEP_SUMMARY, ACTIONS_RUNTIME_TOKEN } as Record<string, string>;
  expect(await job.post({ environment: { ...environment, ...kept } })).toBe(0);

  const release = job.calls.at(-1);
  const folder = dirname(release?.program ?? '');
  expect(release?.env).toEqual({
    ...request?.env,
    AWS_CONFIG_FILE: join(folder, 'AWS_CONFIG_FILE'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'AWS_SHARED_CREDENTIALS_FILE'),
    DAYPASS_CONFIG_FILE: join(folder, 'DAYPASS_CONFIG_FILE'),
    DAYPASS_STATE_DIR: join(folder, 'sessions'),
  });
  expect(release?.argv.at(-1)).toBe(request?.argv.at(-1));
  expect(Object.values(release?.files ?? {})).toEqual([`before, in ${places[0]}`, `before, in ${places[1]}`, '']);
  expect(existsSync(folder)).toBe(false);
});

test('the session of the step is gone after the release', async () => {
  const job = new Job(INPUTS);
  await job.main();
  const sessions = join(job.folder, 'temp/daypass/sessions');
  mkdirSync(sessions);
  const [own, other] = [`${job.saved.transaction}.json`, 'other.json'];
  for (const name of [own, other]) writeFileSync(join(sessions, name), '{}');
  await job.post({ fake: 'unconfirmed' });
  expect(readdirSync(sessions)).toEqual(expect.arrayContaining([own, other]));
  await job.post();
  expect(readdirSync(sessions)).toEqual([other]);
});

test('a command that was exchanged after the request is not run, and that fails the job', async () => {
  const job = new Job(INPUTS);
  await job.main();
  const { file } = job.saved.binary;
  rmSync(file);
  writeFileSync(file, '#!/bin/sh\necho \'{"status":"deprovisioned"}\'\n', { mode: 0o755 });
  expect(await job.post()).toBe(1);
  expect(job.log).toMatch(
    /::error title=Daypass::The role could not be given back:%0A.* is not the program that requested/,
  );
  expect(job.log).toContain(ENDS);
  expect(job.log).not.toContain('was given back');
});

const FOREIGN_STATES = [
  ['a short one', 'AAAA'],
  ['no base64', '!'.repeat(100)],
  ['that of another job', seal({} as Saved, 'the token of another job')],
] as const;

test.each(FOREIGN_STATES)('a state that this step has not saved fails the job: %s', async (_, state) => {
  const job = new Job(INPUTS);
  expect(await job.post({ environment: { STATE_saved: state } })).toBe(1);
  expect(job.log).toContain('The role could not be given back: the state of this step is not what it has saved');
  expect(job.calls).toEqual([]);
});

test('what the release is made with has to be saved before anything is asked for', async () => {
  const large = new Job(INPUTS, { A: randomBytes(45_000).toString('hex'), B: randomBytes(45_000).toString('hex') });
  expect(await large.main()).toBe(1);
  expect(large.log).toContain('the environment of this step is too large to be saved for the release');
  const elsewhere = new Job(INPUTS, { ACTIONS_RUNTIME_TOKEN: '' });
  expect(await elsewhere.main()).toBe(1);
  expect(elsewhere.log).toContain('ACTIONS_RUNTIME_TOKEN is not set');
  expect([...large.calls, ...elsewhere.calls]).toEqual([]);
});

test('nothing of an answer that is no JSON is printed', async () => {
  const job = new Job(INPUTS, { FAKE: 'babbling' });
  expect(await job.main()).toBe(1);
  expect(job.log).toContain('has not answered with a JSON object');
  expect(job.log).not.toContain('ASIA');
});

test('an answer of several lines becomes no output, and its role is given back', async () => {
  const job = new Job(INPUTS, { FAKE: 'injecting' });
  expect(await job.main()).toBe(1);
  expect(job.log).toContain('the value of role-name has a line feed or another control character');
  expect(job.text('GITHUB_OUTPUT')).not.toContain('evil');
  await job.post();
  expect(job.commands.at(-1)).toBe('release');
});

test('the profile renews with the settings of its step, whatever the step that uses it has', async () => {
  const job = new Job({ ...INPUTS, email: "o'neill@example.com", credentials: 'process' }, { AWS_PROFILE: 'runner' });
  expect(await job.main()).toBe(0);
  expect(job.calls[0]?.argv).not.toContain('--once');
  const exported = job.file('GITHUB_ENV');
  expect(exported).toMatchObject({
    AWS_PROFILE: 'payments-dev',
    AWS_CONFIG_FILE: join(job.folder, 'temp/daypass/config'),
  });
  expect(Object.keys(exported)).not.toContain('AWS_ACCESS_KEY_ID');
  const config = readFileSync(exported.AWS_CONFIG_FILE ?? '', 'utf8');
  const script = /^\[profile payments-dev\]\ncredential_process = "(.*)"$/m.exec(config)?.[1] ?? '';
  expect(statSync(script).mode & 0o777).toBe(0o700);

  const answer = execFileSync(script, {
    env: { PATH: process.env.PATH, FAKE_LOG: join(job.folder, 'calls'), ...exported, AWS_ACCESS_KEY_ID: 'other' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(JSON.parse(answer)).toMatchObject({ Version: 1, AccessKeyId: 'ASIAGRANTED' });
  const call = job.calls.at(-1);
  expect(call?.env).toMatchObject({ DAYPASS_EMAIL: "o'neill@example.com", AWS_PROFILE: 'runner' });
  expect(call?.env).not.toHaveProperty('AWS_ACCESS_KEY_ID');
  expect(call?.env).not.toHaveProperty('AWS_CONFIG_FILE');
});

test('the same account twice, or asked for again, gives a profile for each role and no name twice', async () => {
  const first = new Job({ ...INPUTS, 'group-type': 'Network-Deployers', credentials: 'process' });
  await first.main();
  const config = first.file('GITHUB_ENV').AWS_CONFIG_FILE ?? '';
  appendFileSync(config, '[profile of-the-job]\nregion = eu-west-1\n');
  const later = { ...first.file('GITHUB_ENV'), RUNNER_TEMP: join(first.folder, 'temp') };
  const second = new Job({ ...INPUTS, credentials: 'process' }, later);
  await second.main();
  for (const name of ['AWS_CONFIG_FILE', 'AWS_PROFILE']) expect(second.calls[0]?.env).not.toHaveProperty(name);

  const profiles = [...readFileSync(config, 'utf8').matchAll(/^\[profile (.*)\]\n(.*)$/gm)];
  const expected = ({ saved }: Job): string =>
    `credential_process = "${join(first.folder, 'temp/daypass', `credentials-${saved.transaction}`)}"`;
  expect(profiles.map(([, name, setting]) => [name, setting])).toEqual([
    [`daypass-${first.saved.transaction}`, expected(first)],
    ['of-the-job', 'region = eu-west-1'],
    ['payments-dev', expected(second)],
    [`daypass-${second.saved.transaction}`, expected(second)],
  ]);
  expect(first.file('GITHUB_OUTPUT').profile).toBe(`daypass-${first.saved.transaction}`);
  expect(second.file('GITHUB_ENV').AWS_PROFILE).toBe('payments-dev');
});

const NO_PROFILE_NAMES = ['a b', 'default', 'a]b', 'a#b', '"a"', "Pay's", 'a\\b', 'größe', 'a/b', 'a\nb'];

test.each(NO_PROFILE_NAMES)('the account %j has no profile of its name, but one of its role', async (account) => {
  const job = new Job({ ...INPUTS, account, credentials: 'process' });
  expect(await job.main()).toBe(0);
  const exported = job.file('GITHUB_ENV');
  const config = readFileSync(exported.AWS_CONFIG_FILE ?? '', 'utf8');
  expect(exported.AWS_PROFILE).toBe(`daypass-${job.saved.transaction}`);
  expect(config.match(/^\[.*$/gm)).toEqual([`[profile ${exported.AWS_PROFILE}]`]);
});

test('keys of the job do not count more than the profile', async () => {
  const job = new Job({ ...INPUTS, credentials: 'process' }, BEFORE);
  await job.main();
  expect(job.file('GITHUB_ENV')).toMatchObject({
    AWS_ACCESS_KEY_ID: '',
    AWS_SECRET_ACCESS_KEY: '',
    AWS_SESSION_TOKEN: '',
  });
});

test.each([
  [{ credentials: 'files' }, {}, 'credentials is `files`: give `environment` or `process`'],
  [{ account: ' ' }, {}, 'account is missing: name the account to deploy to'],
  [{ credentials: 'process', 'invoker-role-arn': '' }, BEFORE, '`credentials: process` needs invoker-role-arn'],
  [{ 'daypass-path': 'nowhere/daypass' }, {}, 'daypass-path is `nowhere/daypass`: not an executable file'],
])('inputs that cannot be right are refused before anything is asked for: %o', async (inputs, environment, says) => {
  const job = new Job({ ...INPUTS, ...inputs }, environment);
  expect(await job.main()).toBe(1);
  expect(job.log).toContain(`::error title=Daypass::${says}`);
  await job.post();
  expect(job.calls).toEqual([]);
});

test('Windows is refused', async () => {
  const job = new Job(INPUTS);
  const windows = 'data:text/javascript,Object.defineProperty(process,"platform",{value:"win32"})';
  expect(await job.main(undefined, ['--import', windows])).toBe(1);
  expect(job.log).toContain('Daypass does not run on Windows');
  expect(job.calls).toEqual([]);
});
